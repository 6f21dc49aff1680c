from collections.abc import Callable

import pytest
from support.projects import request_of
from support.tracing import commit_all, path_of

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.lineage.run_provenance import image_name, read_provenance
from waterflow.resources import Resources
from waterflow.steps.prepare import prepare
from waterflow.tracking.tags import DIFF_FILE

Writer = Callable[..., str]


def test_a_project_without_git_is_described_all_the_same(resources: Resources, pipeline: Writer) -> None:
    """Lock, interpreter and source are known; no commit is."""
    prepared = prepare(request_of(pipeline()), resources)
    made = read_provenance(resources.runs.get_run(prepared.parent_run_id), resources)
    assert (made.commit, made.dirty, made.diff) == (None, None, None)
    assert (made.source.kind, made.source.where) == ("csv", "data/flowers.csv")
    assert made.source.reading == {"encoding": "utf-8", "separator": ","}
    assert made.source.types["species"] == "text"
    assert made.lock is not None
    assert path_of(made.lock, resources).read_bytes() == resources.project.lock_file.read_bytes()
    assert made.lock.digest == made.lock_digest


def test_a_clean_tree_needs_no_diff(tracked: Project) -> None:
    """The commit says it all."""
    commit = commit_all(tracked.root)
    resources = workflow.open_resources(tracked)
    made = read_provenance(resources.runs.get_run(prepare(request_of(), resources).parent_run_id), resources)
    assert (made.commit, made.dirty, made.diff) == (commit, False, None)


def test_what_was_not_committed_is_kept(tracked: Project) -> None:
    """In the store by its digest, and as an artifact for people."""
    commit_all(tracked.root)
    path = tracked.conf / "pipeline" / "flowers.yaml"
    path.write_text(path.read_text() + "# an edit\n")
    resources = workflow.open_resources(tracked)
    prepared = prepare(request_of(), resources)
    made = read_provenance(resources.runs.get_run(prepared.parent_run_id), resources)
    assert made.dirty is True
    assert made.diff is not None
    assert b"+# an edit" in path_of(made.diff, resources).read_bytes()
    files = {entry.path for entry in resources.runs.client.list_artifacts(prepared.parent_run_id, "waterflow")}
    assert DIFF_FILE in files


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, None),
        ({"WATERFLOW_GIT_COMMIT": "a" * 40}, None),
        ({"WATERFLOW_IMAGE": "waterflow-airflow"}, "waterflow-airflow"),
        (
            {"WATERFLOW_IMAGE": "waterflow-airflow", "WATERFLOW_GIT_COMMIT": "a" * 40},
            "waterflow-airflow (built from aaaaaaaaaaaa)",
        ),
    ],
)
def test_an_image_is_named_by_compose_and_by_its_build(environment: dict[str, str], name: str | None) -> None:
    """Outside a container there is none."""
    assert image_name(environment) == name
