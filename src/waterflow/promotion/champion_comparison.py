"""Comparing the winner with its opponent. Decides who is compared, on which rows, and what is kept of it."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.caching.keys import evaluation, key_of, recipe_of
from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import write_parquet
from waterflow.errors import FitError
from waterflow.plurals import counted
from waterflow.promotion.challenger import fit_challenger, predict_challenger
from waterflow.promotion.holdout import reach_verdict
from waterflow.promotion.looks import LookPlan, spend_alpha, take_look
from waterflow.promotion.opponents import Holdout, Opponent, choose_opponent, load_holdout
from waterflow.promotion.predictions import UnusableError, columns_of, predict_usably
from waterflow.promotion.recorded_champion import find_recorded_champion
from waterflow.promotion.refresh import compare_with_reference, key_of_attempt
from waterflow.promotion.state import is_refresh
from waterflow.records.data import Blob, Prepared
from waterflow.records.evaluation import Evaluated, GateResult, Verdict
from waterflow.records.training import Trained
from waterflow.reporting.step_manifest import log_step
from waterflow.reporting.verdict_report import VerdictReport
from waterflow.resources import Resources
from waterflow.scoring.metrics import Predicted
from waterflow.stores.base import put_file, scratch_folder
from waterflow.tracking.artifacts import write_json
from waterflow.tracking.registry import Version
from waterflow.tracking.tags import PREDICTIONS, VERDICT, VERDICT_AGAINST_FOLDER, VERDICT_METRIC, VERDICT_REASON

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComparedModels:
    """A verdict, the candidates, and the winner's predictions. The winner comes first.

    `fits` are those of the winner's recipe that were compared; empty where that is its own fit.
    """

    verdict: Verdict
    ranked: tuple[Trained, ...]
    fits: tuple[Trained, ...]
    predicted: Predicted
    report: VerdictReport

    def metrics(self) -> dict[str, float]:
        """Return the verdict's numbers as metrics of a run."""
        return {VERDICT_METRIC + name: value for name, value in self.verdict.numbers().items()}

    def tags(self, resources: Resources) -> dict[str, str]:
        """Return verdict, reason and address of the predictions as tags."""
        tags = {VERDICT: self.verdict.outcome, VERDICT_REASON: self.verdict.reason}
        if self.verdict.predictions is not None:
            tags[PREDICTIONS] = f"{resources.store.uri}/{self.verdict.predictions.key}"
        return tags

    def write(self, folder: Path) -> None:
        """Write the report for people and the record for programs."""
        write_json(folder / "verdict.json", self.verdict.to_json())
        (folder / "report.html").write_text(self.report.to_html(), "utf-8")
        (folder / "report.md").write_text(self.report.to_markdown(), "utf-8")


def compare_again(
    prepared: Prepared, config: PipelineConfig, evaluated: Evaluated, champion: Version | None, resources: Resources
) -> Verdict:
    """Compare again with a champion unknown to `evaluate`. Logs the report."""
    place = VERDICT_AGAINST_FOLDER.format(champion=champion.version if champion else "baseline")
    key = key_of(evaluation(prepared, config, evaluated.ranked, champion))
    fits = evaluated.compared or evaluated.ranked[:1]
    compared = compare_on_holdout(prepared, config, evaluated.ranked, champion, key, resources, fits)
    with scratch_folder() as folder:
        compared.write(folder / place)
        tags = compared.tags(resources)
        log_step(
            place, prepared.pipeline, prepared.parent_run_id, folder, resources, metrics=compared.metrics(), tags=tags
        )
    return compared.verdict


def compare_on_holdout(
    prepared: Prepared,
    config: PipelineConfig,
    ranked: tuple[Trained, ...],
    champion: Version | None,
    evaluation_key: str,
    resources: Resources,
    fits: tuple[Trained, ...] = (),
) -> ComparedModels:
    """Compare the best usable candidate with the champion or baseline.

    Fits of the candidate may be given. A comparison is a look at the rows, which goes into the ledger before anything
    is compared. The predictions of both models are stored. A champion that cannot be compared is no error but a
    verdict. Raises FitError when no candidate is usable, UnreachableError when a server does not answer, StoreError
    when a candidate's own files are gone.
    """
    holdout = load_holdout(prepared, resources)
    ranked, fits, challenger = choose_winner(prepared, config, ranked, fits, holdout, resources)
    if champion is not None and holdout.cut is not None and holdout.cut.is_recorded_by(champion.version):
        opponent = find_recorded_champion(champion, config, holdout, challenger, resources)
    else:
        opponent = choose_opponent(champion, config, ranked, holdout, challenger, resources)
    unseen = opponent.unseen
    is_attempt = _attempts_refresh(prepared, config, ranked[0], champion)
    look_key = key_of_attempt(evaluation_key) if is_attempt else evaluation_key
    plan = take_look(prepared, config, look_key, holdout.rows[unseen], resources)
    compared = np.zeros(len(unseen), dtype=bool)
    compared[unseen] = plan.chosen
    set_aside = unseen & ~compared
    verdict, pair = reach_verdict(
        spend_alpha(config, plan),
        challenger.take(~set_aside),
        opponent.take(~set_aside),
        holdout.rows[~set_aside].reset_index(drop=True),
    )
    verdict = _complete(verdict, plan, opponent, champion, int(set_aside.sum()))
    stored = _put_predictions(config, challenger, opponent, compared, holdout, resources)
    verdict = verdict.model_copy(update={"predictions": stored})
    if is_attempt and champion is not None and plan.alpha and verdict.outcome != "promote":
        refresh = compare_with_reference(
            config, champion, opponent, challenger, holdout, compared, plan, look_key, resources
        )
        verdict = verdict.model_copy(update={"refresh": refresh})
    logger.info("verdict against %s: %s, %s", opponent.name, verdict.outcome, verdict.reason)
    for warning in verdict.warnings:
        logger.warning("verdict: %s", warning)
    if config.promotion.show == "verdict":
        verdict, pair = hide_numbers(verdict), None
    cautions = tuple(entry.tuning_warning for entry in ranked if entry.tuning_warning)
    report = VerdictReport(config.name, ranked[0].candidate, config.task, verdict, pair, cautions)
    return ComparedModels(verdict, ranked, fits, challenger, report)


def _attempts_refresh(prepared: Prepared, config: PipelineConfig, winner: Trained, champion: Version | None) -> bool:
    """Return whether the verdict may lead to a refresh. Without a margin, or without numbers, it cannot."""
    if config.refresh_margin is None or config.promotion.show == "verdict":
        return False
    return is_refresh(prepared, recipe_of(config, winner.candidate), champion)


def choose_winner(
    prepared: Prepared,
    config: PipelineConfig,
    ranked: tuple[Trained, ...],
    known_fits: tuple[Trained, ...],
    holdout: Holdout,
    resources: Resources,
) -> tuple[tuple[Trained, ...], tuple[Trained, ...], Predicted]:
    """Return the candidates with the best usable one first.

    Also returns the fits of its recipe and their predictions. A candidate that raises or answers NaN on a held-out row
    is no winner; raises FitError when all do.
    """
    problems = []
    for candidate in ranked:
        fits = known_fits or fit_challenger(prepared, config, candidate, holdout, resources)
        try:
            predicted = predict_usably(partial(predict_challenger, fits or (candidate,), config, holdout, resources))
        except UnusableError as error:
            problems.append(f"{candidate.candidate}: {error}")
            logger.warning("candidate %s is no winner: %s", candidate.candidate, error)
            continue
        return (candidate, *(other for other in ranked if other is not candidate)), fits, predicted
    raise FitError(f"no candidate of {config.name} can be used on the held-out rows ({'; '.join(problems)})")


def _complete(
    verdict: Verdict, plan: LookPlan, opponent: Opponent, champion: Version | None, looked_at_rows: int
) -> Verdict:
    """Add what the comparison does not know. That is the look, and a champion that cannot be used."""
    changes: dict[str, Any] = {"look": plan.number, "looked_at_rows": looked_at_rows}
    changes["champion_model_id"] = champion.model_id if champion else None
    if not plan.alpha:
        changes |= {"low": None, "high": None, "p_value": None}
    if not plan.alpha and verdict.outcome != "hold":
        changes["outcome"] = "insufficient evidence"
        changes["reason"] = (
            f"nothing is left to spend on these rows after {counted(plan.number - 1, 'look')}; new rows renew it; "
            f"{verdict.reason}"
        )
    if opponent.unusable:
        changes["reason"] = f"{opponent.unusable}; {changes.get('reason', verdict.reason)}"
    return verdict.model_copy(update=changes)


def hide_numbers(verdict: Verdict) -> Verdict:
    """Return a verdict that hides numbers of the held-out rows. Only its outcome shows.

    Whoever sees numbers can climb by them without a better model (Blum and Hardt, 2015).
    """
    hidden = dict.fromkeys((*verdict.numbers(), "challenger", "champion", "mcnemar_p_value"))
    reason = f"numbers are not shown (promotion.show: verdict), {verdict.rows} rows compared"
    return verdict.model_copy(update={**hidden, "warnings": (), "metrics": (), "slices": (), "reason": reason})


def hide_value(gate: GateResult) -> GateResult:
    """Return whether the gate was passed. Hides the value on the held-out rows."""
    outcome = "reaches" if gate.passed else "misses"
    return gate.model_copy(update={"value": None, "reason": f"{gate.metric} {outcome} the gate (value not shown)"})


def _put_predictions(
    config: PipelineConfig,
    challenger: Predicted,
    opponent: Opponent,
    compared: NDArray[np.bool_],
    holdout: Holdout,
    resources: Resources,
) -> Blob:
    """Store both models' predictions of every held-out row.

    Each comes with its key, group, time and slices. Under `show: verdict` there is neither the truth nor the opponent,
    from which the numbers follow.
    """
    rows = holdout.rows
    promotion = config.promotion
    names = [*config.key, config.group, config.time_column, *(promotion.dependence.by if promotion.dependence else ())]
    names += [asked.column for asked in promotion.not_worse_on]
    columns: dict[str, Any] = {"row": np.flatnonzero(holdout.part == "test"), "compared": compared}
    is_shown = promotion.show == "numbers"
    columns |= ({"truth": rows[config.target]} if is_shown else {}) | columns_of("challenger", challenger)
    if opponent.predicted is not None and is_shown:
        columns |= columns_of("champion", opponent.predicted)
    columns |= {f"{name}_" if name in columns else name: rows[name] for name in names if name is not None}
    with scratch_folder() as folder:
        write_parquet(pd.DataFrame(columns), folder / "predictions.parquet")
        return put_file(resources.store, folder / "predictions.parquet")
