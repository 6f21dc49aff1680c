"""The actions of the steps: what decides each of them, named in a way that two can be compared."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waterflow.config.schema import PipelineConfig
from waterflow.provenance.code import action_key, digest_of, environment_facts, module_digests, user_modules
from waterflow.records import Action, Done, Prepared, Trained, Window
from waterflow.resources import Resources, count_threads
from waterflow.tracking.model_store import Version
from waterflow.tracking.runs import write_record
from waterflow.tracking.tags import ACTION_FILE, MODEL_ID
from waterflow.training.parallelism import useful_threads

DATA_MODULES = tuple(
    f"waterflow.data.{name}"
    for name in ("sources.reading", "window", "contract", "sampling", "validation", "splitting", "canonical", "leakage")
)
READ_MODULES = ("waterflow.data.canonical", "waterflow.data.validation")
FIT_MODULES = ("waterflow.training.fitting", "waterflow.scoring.metrics", *READ_MODULES)
FIT_STEPS = ("waterflow.training.candidate", "waterflow.snapshots", "waterflow.training.partitions")
JUDGE_MODULES = (
    *(f"waterflow.evaluation.{name}" for name in ("baseline", "comparison", "verdict")),
    *(f"waterflow.reporting.{name}" for name in ("plots", "verdict_report")),
    "waterflow.scoring.metrics",
    "waterflow.data.overlap",
    *READ_MODULES,
)
JUDGE_STEPS = ("waterflow.steps.evaluate", "waterflow.promotion.holdout", "waterflow.promotion.opponents")


def key_of(action: Action) -> str:
    """Name an action by all that decides its outcome; the candidate's name decides nothing."""
    inputs = {"inputs": action.inputs, "config": action.config}
    return action_key(action.step, inputs, action.code, action.environment)


def preparation(config: PipelineConfig, window: Window | None, resources: Resources) -> Action:
    """Name what decides the prepared rows, except what their source says at the time; the window, where rows are dated.

    The whole configuration counts: later steps read it from this step's record.
    """
    return Action(
        step="prepare",
        inputs={"window": str(window)} if window and config.time_column else {},
        config=flatten(config.model_dump(mode="json")),
        code=module_digests(DATA_MODULES),
        environment=environment_facts(resources.project.lock_file),
    )


def setting_key(config: PipelineConfig, resources: Resources) -> str:
    """Name the settings of a run, whatever its window: configuration, code, the estimators' own too, environment."""
    own = {name: user_modules(candidate.estimator) for name, candidate in config.candidates.items()}
    return digest_of([key_of(preparation(config, None, resources)), own])


def fitting(prepared: Prepared, config: PipelineConfig, candidate: str, resources: Resources) -> Action:
    """Name what decides one fitted candidate: rows, split, its own section of the configuration, code, environment.

    Threads count where they do: when trials go beside one another, and for estimators other than scikit-learn's, whose
    sums may come in another order. Scikit-learn's are given one thread for linear algebra and sum in one order.
    """
    estimator, is_tuned = config.candidates[candidate].estimator, config.search_of(candidate) is not None
    modules = [*FIT_MODULES]
    if config.strategy.select_on == "folds":
        modules.append("waterflow.training.cross_validation")
    if is_tuned:
        modules.append("waterflow.training.tuning.tuner")
    inputs = {"data": prepared.data.digest, "split": prepared.split.digest}
    if is_tuned or not estimator.startswith("sklearn."):
        inputs["threads"] = str(useful_threads(count_threads(), prepared.rows))
    return Action(
        step="train",
        subject=candidate,
        inputs=inputs,
        config=flatten(config.train_section(candidate)),
        code=module_digests(modules) | module_digests(FIT_STEPS, follow=False) | user_modules(estimator),
        environment=environment_facts(resources.project.lock_file, estimator),
    )


def train_key(prepared: Prepared, config: PipelineConfig, candidate: str, resources: Resources) -> str:
    """Give the key of a candidate's fit as things stand now: another one than a record's means that it cannot recur."""
    return key_of(fitting(prepared, config, candidate, resources))


def judgement(
    prepared: Prepared,
    config: PipelineConfig,
    ranked: tuple[Trained, ...],
    opponent: Version | None,
    resources: Resources,
) -> Action:
    """Name what decides a verdict: the models and their opponent, the rows, and the rules by which they are judged."""
    champion = opponent and (opponent.tags.get(MODEL_ID) or f"version {opponent.version}")
    return Action(
        step="evaluate",
        inputs={
            "data": prepared.data.digest,
            "split": prepared.split.digest,
            "planned": ", ".join(prepared.candidates),
            "opponent": champion or f"baseline {config.baseline}",
            **{f"model of {entry.candidate}": entry.model_id for entry in ranked},
        },
        config=flatten(config.evaluate_section()),
        code=module_digests(JUDGE_MODULES) | module_digests(JUDGE_STEPS, follow=False),
        environment=environment_facts(resources.project.lock_file),
    )


def registration(config: PipelineConfig, model_id: str, champion: str, evaluated_key: str) -> Action:
    """Name what decides what becomes of a winner, as far as it can be told before it is decided."""
    return Action(
        step="register",
        inputs={"model": model_id, "champion": champion, "evaluation": evaluated_key},
        config=flatten({"promotion": config.promotion.model_dump(mode="json")}),
        code={},
        environment={},
    )


def flatten(section: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Give each value of nested settings under its dotted key, as JSON; what is empty has a key too."""
    flat: dict[str, str] = {}
    for name, value in section.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return flat


def write_done(folder: Path, done: Done) -> None:
    """Put what was done among the artifacts that are to be logged, for `waterflow why`."""
    write_record(folder, done.to_json(), ACTION_FILE.format(step=done.action.step))
