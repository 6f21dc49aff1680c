"""What notebooks and scripts use.

They run pipelines, and load models, rows and predictions; `import waterflow` has these functions too.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from waterflow.config.profile import Profile
from waterflow.errors import ConfigError, SignatureError
from waterflow.tracking.model_store import ModelStore
from waterflow.tracking.registry import CHAMPION, ModelRegistry, Version
from waterflow.tracking.runs import RunStore

if TYPE_CHECKING:
    import pandas as pd

    from waterflow.lineage.version_history import VersionHistory
    from waterflow.records.promotion import Registered
    from waterflow.resources import Resources
    from waterflow.serving.loaded_champion import LoadedChampion


def run(
    pipeline: str,
    *overrides: str,
    start: str | None = None,
    end: str | None = None,
    strategy: str | None = None,
    candidates: Sequence[str] | None = None,
    scenario: str | None = None,
    force: bool = False,
    report: Callable[[str, str], None] | None = None,
) -> "Registered":
    """Run the five steps of a pipeline here. `waterflow run` does the same.

    The project is that of the working directory. `overrides` are those of the command line, such as
    `tuning.trials=5`; `start` and `end` bound the rows in time; `report` is called with a step and a line of progress,
    which are printed by default. A pipeline that wants a person's approval waits for it. Returns the registered version
    with its verdict: `.version`, `.aliases`, `.reason`, `.evaluated`. Raises the one-line errors of the command
    (`waterflow.errors`).
    """
    from waterflow import workflow
    from waterflow.records.run import RunRequest

    request = RunRequest(
        pipeline=pipeline,
        origin=workflow.origin_of_shell(),
        window=workflow.manual_window(start, end),
        strategy=strategy,
        scenario=scenario,
        candidates=None if candidates is None else tuple(candidates),
        overrides=tuple(entry for entry in overrides if not entry.lstrip("+").startswith("profile")),
        force=force,
    )
    return workflow.run_all(request, workflow.open_resources(overrides=overrides), report or _print_progress)


def load_dataset(reference: str, part: str | None = None) -> "pd.DataFrame":
    """Load the rows behind a version. They are as they were when it was trained.

    `reference` is `MODEL@VERSION` or `MODEL@ALIAS`; `MODEL` stands for its champion. Returns shape (rows, columns),
    with all columns of the source and, last, `part`: train, validation, test or purged; with `part` its rows alone. The
    index is the row's place in the stored rows. Raises ConfigError without such a version or part, StoreError when rows
    are gone or altered.
    """
    from waterflow.promotion.opponents import load_holdout

    history, resources = _find(reference)
    stored = load_holdout(history.prepared, resources)
    frame = stored.frame.assign(part=stored.part)
    if part is None:
        return frame
    if part not in set(stored.part):
        raise ConfigError(f"part: {part!r} has no row; valid: {', '.join(sorted(set(stored.part)))}")
    return frame[stored.part == part]


def load_predictions(reference: str) -> "pd.DataFrame":
    """Load both models' recorded predictions of the held-out rows. A version's verdict is based on them.

    Returns a row for each held-out row, indexed as in `load_dataset`. Columns: `compared` (whether the verdict counts
    it), `truth`, `challenger` (the version) and `champion` (its opponent), `challenger_probability_CLASS` and
    `champion_probability_CLASS` of models with probabilities, and the row's key, group, time and slices. Under
    `promotion.show: verdict` neither truth nor opponent are there. Raises ConfigError without such a version,
    StoreError when no predictions were recorded, or they are gone.
    """
    from waterflow.data.canonical import read_parquet
    from waterflow.errors import StoreError
    from waterflow.stores.base import get_file, scratch_folder

    history, resources = _find(reference)
    verdict = history.evaluated.verdict
    if verdict is None or verdict.predictions is None:
        raise StoreError(f"{history.name}: its evaluation recorded no predictions; run the pipeline again")
    with scratch_folder() as folder:
        stored = read_parquet(get_file(resources.store, verdict.predictions, folder / "predictions.parquet"))
    return stored.set_index("row").rename_axis(None)


def load_model(
    reference: str, *, tracking_uri: str | None = None, public_keys: str | None = None, trust: bool = False
) -> Any:
    """Load a registered model, by default the champion's.

    `reference` is `MODEL@VERSION` or `MODEL@ALIAS`. Without `tracking_uri`, MLflow is that of `MLFLOW_TRACKING_URI`,
    else of the project in the working directory, whose keys are then trusted. Other public keys come from `public_keys`
    or `WATERFLOW_PUBLIC_KEYS`. With `trust` the model is loaded whoever made it, which runs the code in its files.
    Raises ConfigError without such a version, and SignatureError, with what to do, when no trusted key signed its
    model.
    """
    runs = _connect(tracking_uri, public_keys)
    version = _find_version(reference, runs)
    with _advising():
        return ModelStore(runs).load_model(version.model_id, version.model, trust=trust)


def load_champion(
    reference: str, *, tracking_uri: str | None = None, public_keys: str | None = None
) -> "LoadedChampion":
    """Load a champion, as it answers in the service.

    `reference` is `PIPELINE`, or `PIPELINE@VERSION` for another version. Returns an object with `predict`,
    `predict_proba`, `version` and `signature`. The other arguments, and the errors, are those of `load_model`.
    """
    from waterflow.serving.loaded_champion import load_version

    runs = _connect(tracking_uri, public_keys)
    version = _find_version(reference, runs)
    with _advising():
        return load_version(version, runs)


def _find_version(reference: str, runs: RunStore) -> Version:
    name, _, wanted = reference.partition("@")
    registry = ModelRegistry(runs)
    found = (
        registry.get_version(name, int(wanted)) if wanted.isdecimal() else registry.find_alias(name, wanted or CHAMPION)
    )
    if found is None:
        raise ConfigError(f"version: MLflow has no {reference!r}; write it like iris@3 or iris@champion")
    return found


@contextmanager
def _advising() -> Iterator[None]:
    """Add to a refused signature what a notebook can do."""
    try:
        yield
    except SignatureError as error:
        raise SignatureError(
            f"{error}. In a notebook pass public_keys=…, or trust=True to load_model, which runs code of "
            "whoever logged the model"
        ) from error


def _find(reference: str) -> "tuple[VersionHistory, Resources]":
    from waterflow import workflow
    from waterflow.lineage.version_history import VersionHistory, find_version

    resources = workflow.open_resources()
    named = reference if "@" in reference else f"{reference}@{CHAMPION}"
    return VersionHistory(find_version(named, resources), resources), resources


def _print_progress(step: str, text: str) -> None:
    print(f"{step:<11} {text}")  # the cell's output


def _connect(tracking_uri: str | None, public_keys: str | None) -> RunStore:
    tracking_uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    keys = public_keys or os.environ.get("WATERFLOW_PUBLIC_KEYS")
    if tracking_uri is not None:
        return RunStore(Profile(name="notebook", tracking_uri=tracking_uri, store_uri="none", public_keys=keys))
    from waterflow.workflow import open_resources

    return open_resources(overrides=[f"profile.public_keys='{keys}'"] if keys else ()).runs
