"""What becomes of a version: the rules, in the order in which they speak, without doing anything."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from waterflow.config.schema import PipelineConfig
from waterflow.promotion.staging import first_failure
from waterflow.records import Approval, Check, Decision, DecisionKind, Evaluated, Prepared, Verdict
from waterflow.resources import Resources
from waterflow.tracking.model_store import Version
from waterflow.tracking.tags import ACTION_KEY, DATA_READ_AT, WINDOW_END

Outcome = tuple[DecisionKind, str]


def exclude(
    prepared: Prepared,
    evaluated: Evaluated,
    config: PipelineConfig,
    champion: Version | None,
    rolled_back: Mapping[int, Decision],
    resources: Resources,
) -> Outcome | None:
    """Say what keeps a winner from the champion's place whatever the verdict; None when nothing does."""
    if not config.strategy.promotable:
        return "hold", f"exploratory: strategy {config.strategy.name!r} selects on the holdout, so it never promotes"
    if evaluated.gate is not None and not evaluated.gate.passed:
        return "reject", evaluated.gate.reason
    older = find_older(prepared, config, champion, resources)
    if older is not None:
        return "hold", older
    return exclude_twin(evaluated, config, rolled_back, resources)


def find_older(
    prepared: Prepared, config: PipelineConfig, champion: Version | None, resources: Resources
) -> str | None:
    """Say in words that the champion has seen later data: by its window, or by when undated rows were read."""
    if champion is None:
        return None
    if config.time_column is not None:
        end, tag, what = prepared.window.end if prepared.window else None, WINDOW_END, "its window ends"
    else:
        end, tag, what = resources.runs.started_at(prepared.parent_run_id), DATA_READ_AT, "its rows were read"
    theirs = champion.tags.get(tag)
    if end is None or theirs is None or end >= datetime.fromisoformat(theirs).astimezone(UTC):
        return None
    return (
        f"{what} {end.isoformat()}, before those of champion version {champion.version} ({theirs}); "
        "an older window never takes its place"
    )


def exclude_twin(
    evaluated: Evaluated, config: PipelineConfig, rolled_back: Mapping[int, Decision], resources: Resources
) -> Outcome | None:
    """Hold a model that is, by all that decides a fit, one that was rolled back: its evidence was good then, too."""
    for number, row in rolled_back.items():
        version = resources.models.get_version(config.name, number)
        if version is not None and version.tags.get(ACTION_KEY) == evaluated.winner.action_key:
            return "hold", (
                f"it has the rows, settings and code of version {number}, which {row.actor} rolled back on "
                f"{row.decided_at:%Y-%m-%d} ({row.reason}); "
                f"`waterflow rollback {config.name} --to {number}` would put that one back"
            )
    return None


def weigh(
    config: PipelineConfig,
    verdict: Verdict,
    checks: Sequence[Check],
    shown_champion: int | None,
    approval: Approval | None,
) -> Outcome:
    """Say what follows from verdict, staging checks and, where the pipeline asks for one, a person's answer.

    `shown_champion` is the version that the person saw the challenger compared with.
    """
    if verdict.outcome != "promote":
        return "hold", f"{verdict.outcome}: {verdict.reason}"
    failure = first_failure(checks)
    if failure is not None:
        return "reject", failure
    if config.promotion.approval == "auto":
        return "promote", verdict.reason
    if approval is None:
        return "hold", (
            "promotion.approval is human and nobody was asked; start the run in Airflow, in a terminal, or with --yes"
        )
    if not approval.approved:
        return "reject", f"not approved by {approval.actor}"
    if verdict.champion_version != shown_champion:
        return "hold", (
            f"{approval.actor} approved it in the place of {_version(shown_champion)}, but champion is now "
            f"{_version(verdict.champion_version)}; run the pipeline again and ask again"
        )
    return "promote", f"{verdict.reason}; approved by {approval.actor}"


def _version(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
