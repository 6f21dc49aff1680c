"""The checkout's own dvc.yaml, run by DVC in a small project: the steps of a DAG without Airflow."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.dvc_repository import PATH, add, dvc_command, run
from support.projects import CHECKOUT, FLOWERS, copy_database, make_project, request_of, write_pipeline

from waterflow import workflow
from waterflow.config.header import find_outline, read_outline
from waterflow.config.project import Project
from waterflow.records.data import Prepared
from waterflow.records.promotion import Registered
from waterflow.resources import Resources
from waterflow.steps.prepare import prepare
from waterflow.tracking.tags import RECORD_FILE

RECORDS = Path(".waterflow") / "dvc"
PARAMS = {"pipeline": "flowers", "candidates": ["gaussian_nb"], "overrides": "", "data": PATH}


@dataclass(frozen=True)
class Stages:
    """A project with dvc.yaml, its resources, the commit of its data, and what `dvc repro` said."""

    resources: Resources
    commit: str
    said: str

    @property
    def project(self) -> Project:
        """The project."""
        return self.resources.project

    def dvc(self, *arguments: str) -> str:
        """Run DVC there; its stages find `waterflow` beside this Python."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return run(self.project.root, "dvc", *arguments, PATH=path, WATERFLOW_PROFILE="embedded")

    def record(self, name: str) -> dict[str, object]:
        """Read what a stage wrote."""
        return dict(json.loads((self.project.root / RECORDS / f"{name}.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> Stages:
    """Reproduce once."""
    dvc_command()
    folder = tmp_path_factory.mktemp("dvc")
    project = make_project(folder, home=folder / "project" / ".waterflow")
    copy_database(project, tracking_template)
    one = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]
    write_pipeline(project, "flowers", {**FLOWERS, "defaults": one, "dataset": {"kind": "dvc", "path": PATH}})
    root = project.root
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(CHECKOUT / name, root)
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS), "utf-8")
    (root / ".gitignore").write_text(".waterflow/\n")
    (root / "src").mkdir()
    (root / "src" / "waterflow").symlink_to(CHECKOUT / "src" / "waterflow")
    run(root, "git", "init", "-q", "-b", "main")
    run(root, "dvc", "init", "-q")
    commit = add(root, 150, "150 irises")
    made = Stages(workflow.open_resources(project), commit, "")
    return Stages(made.resources, commit, made.dvc("repro"))


def test_the_stages_end_with_a_champion(stages: Stages) -> None:
    """One run in MLflow, one version, one row of the ledger, as after `waterflow run`."""
    registered = Registered.from_json(stages.record("promoted"))
    assert registered.aliases == ("challenger", "champion")
    assert registered.decision is not None
    assert registered.decision.kind == "promote"
    assert [row.run_id for row in stages.resources.ledger.entries("flowers")] == [registered.parent_run_id]


def test_an_unchanged_project_runs_no_stage(stages: Stages) -> None:
    """The second time, DVC finds all as it was."""
    said = stages.dvc("repro")
    assert "Running stage" not in said
    assert "up to date" in said


def test_metrics_and_plots_are_shown(stages: Stages) -> None:
    """`dvc metrics show` and `dvc plots show` read what evaluate wrote."""
    (shown,) = json.loads(stages.dvc("metrics", "show", "--json"))[""]["data"].values()
    assert set(shown["data"]) == {"accuracy", "f1_macro", "log_loss", "holdout_rows", "rows"}
    assert shown["data"]["holdout_rows"] == 30
    page = Path(stages.dvc("plots", "show").removeprefix("file://")).read_text("utf-8")
    assert "The winner on the held-out rows" in page
    assert "gaussian_nb" in page


def test_the_same_rows_have_the_same_digest_by_dvc_and_by_a_run(stages: Stages) -> None:
    """Prepared by a stage, by a run from the workspace, and by one from the commit: the same bytes."""
    by_stage = Prepared.from_json(stages.record("prepared"))
    from_workspace = prepare(request_of(run_id="by_hand"), stages.resources)
    from_commit = prepare(
        request_of(run_id="by_commit", overrides=(f"+dataset.rev={stages.commit}",)), stages.resources
    )
    assert from_workspace.data == by_stage.data == from_commit.data
    assert from_workspace.split == by_stage.split == from_commit.split


def test_a_dag_prepares_what_dvc_has_prepared(stages: Stages, run_dag: Callable[..., Any]) -> None:
    """The same inputs have the same digest, and so nothing is fitted again."""
    by_stage = Prepared.from_json(stages.record("prepared"))
    answer = run_dag(stages.project)
    assert answer.code == 0, answer.err + answer.log[-3000:]
    runs = stages.resources.runs.client.search_runs([by_stage.experiment_id], "tags.`waterflow.runner` = 'airflow'")
    (run,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    record = stages.resources.runs.read_json(run.info.run_id, RECORD_FILE)
    by_dag = Prepared.from_json(record)
    assert by_dag.data == by_stage.data
    assert by_dag.split == by_stage.split
    assert "gaussian_nb: cached" in answer.out


def test_the_run_says_which_revision_it_read(stages: Stages) -> None:
    """The commit, and the md5 by which DVC knows the file."""
    run_id = Prepared.from_json(stages.record("prepared")).parent_run_id
    tags = stages.resources.runs.client.get_run(run_id).data.tags
    tracked = yaml.safe_load((stages.project.root / f"{PATH}.dvc").read_text("utf-8"))
    assert tags["waterflow.source_revision"] == stages.commit
    assert tags["waterflow.source_md5"] == tracked["outs"][0]["md5"]


def test_the_checkout_s_parameters_name_a_pipeline_with_its_candidates() -> None:
    """`dvc repro` in a fresh checkout trains all that `waterflow run iris` does."""
    params = yaml.safe_load((CHECKOUT / "params.yaml").read_text("utf-8"))
    outline = read_outline(find_outline(CHECKOUT / "conf", params["pipeline"]))
    assert tuple(params["candidates"]) == outline.candidates
