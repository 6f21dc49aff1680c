"""A look at the rows of an existing pipeline."""

import pandas as pd

from waterflow.config.project import Project
from waterflow.config.schema import PipelineConfig
from waterflow.data.column_profile import describe_concerns, profile_columns
from waterflow.data.columns import feature_columns
from waterflow.data.contract_inference import contract_yaml, propose_contract
from waterflow.data.filtering import drop_undated
from waterflow.data.leakage import find_leaks
from waterflow.data.sources.reading import load_source
from waterflow.data.window import cut_to_window
from waterflow.records.run import Window
from waterflow.reporting.data_profile import DataProfile
from waterflow.stores.open import copy_object


def profile_pipeline(config: PipelineConfig, window: Window | None, project: Project) -> DataProfile:
    """Return the profile of a window's rows. Nothing is checked."""
    source = load_source(config, project, copy_object, window)
    frame = cut_to_window(drop_undated(source.frame, config)[0], window, config)
    columns, features = profile_columns(frame), feature_columns(frame, config)
    roles = {name: _role_of(name, config, features) for name in columns}
    contract = propose_contract(frame, config)
    concerns = [f"{name!r} {concern}" for name in features for concern in describe_concerns(columns[name])]
    concerns += _describe_leaks(frame, config, features)
    if "unique" in contract and not config.key:
        names = " and ".join(map(repr, contract["unique"][0]))
        concerns.append(f"{names}: unique in these rows, perhaps by accident; keep the rule if they identify rows")
    return DataProfile(
        pipeline=config.name,
        where=source.facts.where,
        frame=frame,
        columns=columns,
        roles=roles,
        reading=source.facts.reading_lines,
        concerns=concerns,
        contract=contract_yaml(contract),
    )


def _role_of(name: str, config: PipelineConfig, features: list[str]) -> str:
    roles = {
        "target": (config.target,),
        "key": config.key,
        "group": (config.group,),
        "time": (config.time_column,),
        "known after": config.known_after,
        "feature": features,
    }
    return next((role for role, names in roles.items() if name in names), "dropped")


def _describe_leaks(frame: pd.DataFrame, config: PipelineConfig, features: list[str]) -> list[str]:
    rows = frame[frame[config.target].notna()]
    target = rows[config.target].astype("float64") if config.task == "regression" else rows[config.target]
    leaks = find_leaks(rows[features], target, config.task)
    return [f"{leak.column!r} tells the target by itself (score {leak.score:.4f} of 1)" for leak in leaks]
