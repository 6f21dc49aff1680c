"""Queries of experiments and runs. Every answer is complete, page by page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import islice
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from waterflow.config.profile import Profile
from waterflow.database_setup import exclusive_setup
from waterflow.provenance.signing import Keyring
from waterflow.provenance.signing_keys import open_keyring
from waterflow.tracking.errors import check_reachable, translated
from waterflow.tracking.tags import DAG_ID, EXPERIMENT_PREFIX, MLFLOW_PARENT_RUN_ID, RUN_IDENTITY, RUNNER, SUPERSEDED

MAX_PAGE = 1000  # the most runs that MLflow returns at once
SMALL_PAGE = 50
MAX_CACHE_RUNS = 20  # looked at for one action: who has damaged so many has no cache


@dataclass(frozen=True)
class TrackedRun:
    """A run of MLflow as a search returns it. `model_ids` are the models that it logged, times are in UTC."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    artifact_uri: str
    started_at: datetime
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    model_ids: tuple[str, ...] = ()
    is_deleted: bool = False
    ended_at: datetime | None = None

    @property
    def is_ours(self) -> bool:
        """Whether a step of Waterflow opened it."""
        return RUN_IDENTITY in self.tags

    @property
    def parent(self) -> str | None:
        """The id of the run that it is nested in."""
        return self.tags.get(MLFLOW_PARENT_RUN_ID)

    @property
    def dag_id(self) -> str:
        """The id of the DAG whose task opened it. Empty outside Airflow."""
        return self.tags.get(DAG_ID, "")

    def __str__(self) -> str:
        """Name it in messages."""
        return f"run {self.run_id[:8]} of {self.started_at:%Y-%m-%d %H:%M}"


class RunQueries:
    """Read access to the runs of one tracking server."""

    def __init__(self, profile: Profile) -> None:
        """Connect; raises UnreachableError when an HTTP server does not answer."""
        check_reachable(profile.tracking_uri)
        self._profile = profile
        self.uri = profile.tracking_uri
        with translated(self.uri), exclusive_setup(self.uri, f"mlflow {mlflow.__version__}"):
            self.client = MlflowClient(profile.tracking_uri)

    @cached_property
    def keyring(self) -> Keyring:
        """Return the keys that sign and verify what is tracked."""
        return open_keyring(self._profile)

    def list_pipelines(self) -> dict[str, str]:
        """Return the id of each experiment, by its pipeline."""
        condition = f"name LIKE '{EXPERIMENT_PREFIX}%'"
        with translated(self.uri):
            found = list(
                all_pages(partial(self.client.search_experiments, ViewType.ACTIVE_ONLY, MAX_PAGE, condition, None))
            )
        return {entry.name.removeprefix(EXPERIMENT_PREFIX): entry.experiment_id for entry in found}

    def find_experiment(self, pipeline: str) -> str | None:
        """Return the id of a pipeline's experiment. None if there is none, or it was deleted."""
        with translated(self.uri):
            found = self.client.get_experiment_by_name(EXPERIMENT_PREFIX + pipeline)
        return str(found.experiment_id) if found is not None and found.lifecycle_stage == "active" else None

    def get_run(self, run_id: str) -> TrackedRun:
        """Return a run; raises TrackingError when there is none."""
        with translated(self.uri):
            return tracked_run(self.client.get_run(run_id))

    def find_run(self, run_id: str, *, deleted_too: bool = False) -> TrackedRun | None:
        """Return a run. None when there is none, or when it was deleted."""
        with translated(self.uri):
            run = unless_gone(lambda: self.client.get_run(run_id))
        found = run and tracked_run(run)
        return found if found and (deleted_too or not found.is_deleted) else None

    def find_runs(
        self, experiment_id: str, tags: Mapping[str, str | None], limit: int | None = MAX_CACHE_RUNS
    ) -> list[TrackedRun]:
        """Return the newest runs with these tags.

        Superseded runs are left out. None stands for a tag that is missing.
        """
        required = {name: value for name, value in tags.items() if value is not None}
        absent = {SUPERSEDED, *tags} - set(required)
        found = self._search([experiment_id], _condition(required), page=SMALL_PAGE if limit else None)
        return list(islice((run for run in found if not absent & set(run.tags)), limit))

    def list_runs(
        self, experiment_id: str | None = None, *, status: str | None = None, deleted: bool = False
    ) -> list[TrackedRun]:
        """List all runs of an experiment, newest first.

        Without `experiment_id`, list those of every experiment. `deleted` asks for the deleted ones only.
        """
        view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
        with translated(self.uri):
            if experiment_id is not None:
                experiment_ids = [experiment_id]
            else:
                ask = partial(self.client.search_experiments, ViewType.ALL, MAX_PAGE, None, None)
                experiment_ids = [entry.experiment_id for entry in all_pages(ask)]
        return list(self._search(experiment_ids, _condition({}, status), view))

    def list_running(self) -> list[TrackedRun]:
        """List the RUNNING runs of Airflow's tasks, over all pipelines."""
        condition = _condition({RUNNER: "airflow"}, "RUNNING")
        return list(self._search(list(self.list_pipelines().values()), condition))

    def _search(
        self, experiment_ids: Sequence[str], condition: str, view: int = ViewType.ACTIVE_ONLY, page: int | None = None
    ) -> Iterator[TrackedRun]:
        newest = ["attributes.start_time DESC"]
        if experiment_ids:
            with translated(self.uri):
                ask = partial(self.client.search_runs, list(experiment_ids), condition, view, page or MAX_PAGE, newest)
                yield from map(tracked_run, all_pages(ask))


def tracked_run(run: Run) -> TrackedRun:
    """Return the record of a run that MLflow answered with."""
    return TrackedRun(
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        name=run.info.run_name or "",
        status=run.info.status,
        artifact_uri=run.info.artifact_uri,
        started_at=datetime.fromtimestamp((run.info.start_time or 0) / 1000, UTC),
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        model_ids=tuple(output.model_id for output in (run.outputs.model_outputs if run.outputs else ())),
        is_deleted=run.info.lifecycle_stage != "active",
        ended_at=datetime.fromtimestamp(run.info.end_time / 1000, UTC) if run.info.end_time else None,
    )


def all_pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield the entries of every page. `ask` takes the token of a page, None for the first."""
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def unless_gone(ask: Callable[[], Any]) -> Any:
    """Return MLflow's answer, None when it knows no such thing. All its other errors are raised."""
    try:
        return ask()
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _condition(tags: Mapping[str, str], status: str | None = None) -> str:
    parts = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
    return " and ".join(parts + ([f"attributes.status = '{status}'"] if status else []))
