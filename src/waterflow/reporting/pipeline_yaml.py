"""A first pipeline for unknown rows, as commented YAML."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.block_columns import FEW_CATEGORIES
from waterflow.data.column_profile import ColumnProfile
from waterflow.data.contract_inference import contract_yaml, propose_contract
from waterflow.data.proposed_roles import ProposedRoles
from waterflow.reporting.rendering import render

FEW_ROWS = 1_000
LINEAR = {"classification": "logistic_regression", "regression": "ridge"}
BOOSTED = {"classification": "xgboost", "regression": "xgboost_regressor"}
DENSE = {
    "classification": ("hist_gradient_boosting", "xgboost"),
    "regression": ("hist_gradient_boosting_regressor", "xgboost_regressor"),
}


@dataclass(frozen=True)
class DraftedBlock:
    """A block of preprocessing, and why it is there."""

    values: dict[str, Any]
    reason: str


@dataclass(frozen=True)
class PipelineDraft:
    """What a pipeline's YAML is written from. `dataset` is its section; `reading` says what was detected."""

    name: str
    origin: str
    dataset: Mapping[str, Any]
    reading: Sequence[str]
    roles: ProposedRoles
    profiles: Mapping[str, ColumnProfile]
    models: Sequence[str]

    def to_yaml(self, frame: pd.DataFrame) -> str:
        """Return the YAML. `frame` holds the rows that the contract is proposed from."""
        roles, target = self.roles, self.profiles[self.roles.target]
        texts = [self.profiles[name] for name in roles.features if self.profiles[name].is_free_text]
        candidates = self._choose_candidates(bool(texts))
        return render(
            "pipeline.yaml.j2",
            name=self.name,
            origin=self.origin,
            owner="waterflow",
            warnings=roles.warnings,
            candidates=candidates,
            description=f"Predicts {roles.target}.",
            dataset=self.dataset,
            reading=self.reading,
            roles=roles,
            task_reason=f"{target.distinct:,} different values of type {target.kind}",
            target_nulls=target.nulls,
            rows=f"{len(frame):,}",
            contract=contract_yaml(self._propose_contract(frame)),
            blocks=[*self._choose_blocks()],
            # Its own blocks would make a category of each text.
            overrides={name: {"preprocessing": None} for name in candidates if texts and name in BOOSTED.values()},
            metric=self._choose_metric(),
            few_rows=len(frame) < FEW_ROWS,
        )

    def _choose_candidates(self, has_texts: bool) -> list[str]:
        """Return models that the project has. Texts become sparse columns, which some would have to make dense."""
        task = self.roles.task
        wanted = [LINEAR[task], BOOSTED[task]] if has_texts else [LINEAR[task], *DENSE[task]]
        return [name for name in wanted if name in self.models] or list(self.models[:1])

    def _choose_blocks(self) -> Iterator[DraftedBlock]:
        columns = [self.profiles[name] for name in self.roles.features]
        texts = [column.name for column in columns if column.is_free_text]
        many = [
            column.name
            for column in columns
            if column.kind == "text" and column.distinct > FEW_CATEGORIES and not column.is_free_text
        ]
        if texts:
            yield DraftedBlock({"select": {"names": texts}, "encode": "tfidf"}, "words of free text")
        if many:
            reason = f"more than {FEW_CATEGORIES} categories: the mean of the target for each"
            yield DraftedBlock({"select": {"names": many}, "encode": "target"}, reason)
        kinds = {column.kind for column in columns if column.name not in (*texts, *many)}
        if kinds & {"integer", "number", "boolean"}:
            gaps = any(column.nulls for column in columns if column.kind in ("integer", "number", "boolean"))
            own = {"impute": "median", **({"indicator": True} if gaps else {}), "scale": "standard"}
            reason = "indicator: that a value is missing may say something" if gaps else "numbers and booleans"
            yield DraftedBlock({"select": {"type": "numeric"}, **own}, reason)
        if "datetime" in kinds:
            own = {"impute": "median", "encode": "dates", "scale": "standard"}
            yield DraftedBlock({"select": {"type": "datetime"}, **own}, "month, day of the week, hour")
        if "text" in kinds:
            own = {"impute": "missing", "encode": "onehot"}
            yield DraftedBlock({"select": {"type": "categorical"}, **own}, "a column for each category")

    def _choose_metric(self) -> str:
        if self.roles.task == "regression":
            return "mae"
        return "roc_auc" if self.profiles[self.roles.target].distinct == 2 else "f1_macro"

    def _propose_contract(self, frame: pd.DataFrame) -> dict[str, Any]:
        """Return a contract without accidental uniqueness. A key is unique."""
        kept = frame.drop(columns=[name for name in self.roles.drop if name in frame.columns])
        contract = propose_contract(kept, self._outline())
        contract.pop("unique", None)
        return {**({"unique": [[self.roles.key]]} if self.roles.key else {}), **contract}

    def _outline(self) -> PipelineConfig:
        roles = self.roles
        return PipelineConfig.model_construct(
            key=(roles.key,) if roles.key else (), group=roles.group, time_column=roles.time_column
        )
