"""What a tracking server answers: runs as records, lists page by page, and what is gone as None."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from waterflow.tracking.tags import MLFLOW_PARENT_RUN_ID, RUN_IDENTITY

PAGE = 1000  # the most that MLflow gives at once


@dataclass(frozen=True)
class FoundRun:
    """A run of MLflow with all that a search gives of it; times are in UTC."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    artifact_uri: str
    started_at: datetime
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def is_ours(self) -> bool:
        """Whether a step of Waterflow opened it."""
        return RUN_IDENTITY in self.tags

    @property
    def parent(self) -> str | None:
        """The id of the run that it is nested in."""
        return self.tags.get(MLFLOW_PARENT_RUN_ID)

    def __str__(self) -> str:
        """Name it in messages."""
        return f"run {self.run_id[:8]} of {self.started_at:%Y-%m-%d %H:%M}"


def found_run(run: Run) -> FoundRun:
    """Make the record of a run that MLflow answered."""
    return FoundRun(
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        name=run.info.run_name or "",
        status=run.info.status,
        artifact_uri=run.info.artifact_uri,
        started_at=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
    )


def search_runs(
    client: MlflowClient,
    experiment_id: str,
    condition: str = "",
    view: int = ViewType.ACTIVE_ONLY,
    page_size: int = PAGE,
) -> Iterator[FoundRun]:
    """Give the runs of an experiment, the newest first, and ask for a page only when the last one is used up."""
    newest = ["attributes.start_time DESC"]
    for run in all_pages(partial(client.search_runs, [experiment_id], condition, view, page_size, newest)):
        yield found_run(run)


def all_pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """Give the entries of every page; `ask` takes the token of a page, None for the first."""
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def unless_gone(ask: Callable[[], Any]) -> Any:
    """Give what MLflow answers, None when it knows no such thing; all its other errors are raised."""
    try:
        return ask()
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
