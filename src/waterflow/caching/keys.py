"""The actions of the steps. An action is all that decides a step's outcome, named so that two can be compared."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from waterflow.config.code_paths import all_code, comparison_code, data_code, fit_code, model_code
from waterflow.config.schema import PipelineConfig
from waterflow.provenance.code import ImportClosure, list_modules, trace_imports
from waterflow.provenance.environment import environment_facts
from waterflow.provenance.hashing import digest_of, sha256_of
from waterflow.provenance.own_code import trace_paths
from waterflow.records.caching import Action
from waterflow.records.data import Blob, HoldoutCut, Prepared
from waterflow.records.run import Window
from waterflow.records.training import FitRows, Trained
from waterflow.resources import Resources
from waterflow.tracking.registry import Version
from waterflow.tracking.tags import MODEL_ID
from waterflow.training.parallelism import count_threads, useful_threads

# A step's code is what these import. Rooms that only store, log or draw are left out: an edit there changes no result.
DATA_ENTRY = "waterflow.data.preparation"
TRAINING_PACKAGE = "waterflow.training"
EVALUATION_ENTRY = "waterflow.promotion.champion_comparison"
IO_ROOMS = ("tracking", "stores", "ledger", "reporting", "resources", "links", "lineage", "caching", "config.profile")


def key_of(action: Action) -> str:
    """Return the digest of all that decides an action. The candidate's name decides nothing."""
    return digest_of(action.model_dump(exclude={"subject"}))


def preparation(config: PipelineConfig, window: Window | None, champion: str | None = None) -> Action:
    """Return what decides the prepared rows. What their source says at the time is left out.

    `champion` is what the holdout of dated rows depends on. The window counts where rows are dated. The whole
    configuration counts, for later steps read it from this record, but `serving` and `score`: no step reads them.
    """
    inputs = {"window": str(window)} if window and config.time_column else {}
    inputs |= {} if champion is None else {"champion": champion}
    section = config.model_dump(mode="json", exclude={"serving", "score"})
    return _action("prepare", inputs, section, _data_closure(config))


def setting_key(config: PipelineConfig) -> str:
    """Return the digest of configuration, code and environment. Window and rows of the run do not count."""
    closure = trace_paths(all_code(config))
    code = [closure.digests(), environment_facts(closure.packages)]
    return digest_of([key_of(preparation(config, None)), code])


def division(config: PipelineConfig, data: Blob, cut: HoldoutCut | None) -> Action:
    """Return what decides the split of some rows. It decides the search for leaks in its training part too."""
    start = {} if cut is None else {"holdout": cut.start.isoformat() if cut.start else "latest slice"}
    section = {name: value for name, value in config.data_section().items() if name not in ("dataset", "contract")}
    return _action("split", {"data": data.digest, **start}, section, _data_closure(config))


def fitting(prepared: Prepared, config: PipelineConfig, candidate: str, resources: Resources) -> Action:
    """Return what decides one fitted candidate.

    These are rows, split, its configuration, files it reads, code and environment.

    Threads count where they do: when trials go beside one another, and for estimators other than scikit-learn's, whose
    sums may come in another order. Scikit-learn's are given one thread for linear algebra and sum in one order.
    """
    chosen, is_tuned = config.candidates[candidate], config.search_of(candidate) is not None
    inputs = {"data": prepared.data.digest, "split": prepared.split.digest}
    inputs |= dict(_digests_of_reads(chosen.reads, resources.project.root))
    if is_tuned or not chosen.estimator.startswith("sklearn."):
        inputs["threads"] = str(useful_threads(count_threads(), prepared.rows))
    closure = trace_imports(list_modules(TRAINING_PACKAGE)) | trace_paths(fit_code(config, candidate))
    return _action("train", inputs, config.train_section(candidate), closure, candidate)


def refitting(
    prepared: Prepared, config: PipelineConfig, recipe: Trained, rows: FitRows, resources: Resources
) -> Action:
    """Return what decides a candidate's fit on chosen rows. It has the parameters that its training settled on."""
    action = fitting(prepared, config, recipe.candidate, resources)
    inputs = {"rows": str(rows), "choices": recipe.choices.model_dump_json()}
    return action.model_copy(update={"inputs": action.inputs | inputs})


def recipe_of(config: PipelineConfig, candidate: str) -> str:
    """Return the digest of the settings behind a candidate's fits. Their rows and tuned parameters do not count."""
    return digest_of(config.train_section(candidate))


def train_key(prepared: Prepared, config: PipelineConfig, trained: Trained, resources: Resources) -> str:
    """Return the key that a fit would have now. Where its record has another, the fit cannot recur."""
    if trained.fitted_on == FitRows():
        return key_of(fitting(prepared, config, trained.candidate, resources))
    return key_of(refitting(prepared, config, trained, trained.fitted_on, resources))


def evaluation(
    prepared: Prepared,
    config: PipelineConfig,
    ranked: tuple[Trained, ...],
    opponent: Version | None,
) -> Action:
    """Return what decides a verdict.

    These are the models and their opponent, the rows, and the rules of the comparison.

    Reports and pictures are no part of it: after an edit there, `--force` draws them again.
    """
    champion = opponent and (opponent.tags.get(MODEL_ID) or f"version {opponent.version}")
    if champion and prepared.cut and prepared.cut.is_recorded_by(opponent.version if opponent else None):
        champion = f"{champion} as recorded"
    inputs = {
        "data": prepared.data.digest,
        "split": prepared.split.digest,
        "planned": ", ".join(prepared.candidates),
        "opponent": champion or f"baseline {config.baseline}",
        **{f"model of {entry.candidate}": entry.model_id for entry in ranked},
    }
    closure = trace_imports([EVALUATION_ENTRY], outside=[f"waterflow.{room}" for room in IO_ROOMS])
    models = [path for entry in ranked for path in model_code(config, entry.candidate)]  # they predict
    closure |= trace_paths([*models, *comparison_code(config)])
    return _action("evaluate", inputs, config.evaluate_section(), closure)


def registration(config: PipelineConfig, model_id: str, champion: str, evaluation_key: str) -> Action:
    """Return what decides the fate of a winner. Only what is known before the decision counts."""
    return Action(
        step="register",
        inputs={"model": model_id, "champion": champion, "evaluation": evaluation_key},
        config=flatten({"promotion": config.promotion.model_dump(mode="json")}),
        code={},
        environment={},
    )


def flatten(section: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return each value of nested settings under its dotted key. Values are JSON; an empty section has a key too."""
    flat: dict[str, str] = {}
    for name, value in section.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return flat


def _data_closure(config: PipelineConfig) -> ImportClosure:
    return trace_imports([DATA_ENTRY]) | trace_paths(data_code(config))


def _action(
    step: str, inputs: dict[str, str], section: Mapping[str, Any], closure: ImportClosure, subject: str = ""
) -> Action:
    return Action(
        step=step,
        subject=subject,
        inputs=inputs,
        config=flatten(section),
        code=closure.digests(),
        environment=environment_facts(closure.packages),
    )


def _digests_of_reads(reads: tuple[str, ...], root: Path) -> Iterator[tuple[str, str]]:
    """Yield what a candidate declares to read. Variables come as `$NAME`, files and folders relative to the project."""
    for name in reads:
        if name.startswith("$"):
            value = os.environ.get(name[1:])
            yield f"reads {name}", "not set" if value is None else digest_of(value)
            continue
        path = root / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        digests = {str(file.relative_to(path)): sha256_of(file) for file in files if file.is_file()}
        yield f"reads {name}", digest_of(digests) if digests else "not there"
