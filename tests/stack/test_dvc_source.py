"""A DAG on the stack that reads data under DVC: the bytes lie in MinIO, the repository in the checkout."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml
from support.compose import ROOT, Stack, pipeline_added
from support.dvc_repository import PATH, add, forget, run

pytestmark = pytest.mark.stack

NAME = "stacktest_dvc"
REPOSITORY = f".waterflow/{NAME}"  # below the checkout, which containers see, and ignored by its git
PIPELINE = f"""\
defaults:
  - /strategy: balanced
  - /model@candidates: [gaussian_nb]
dataset: {{kind: dvc, repo: {REPOSITORY}, path: {PATH}, rev: REVISION}}
target: species
task: classification
split: {{kind: stratified}}
metrics: {{main: f1_macro}}
"""


@dataclass(frozen=True)
class Tracked:
    """The DAG, the commit that it reads, and the md5 of that commit's file."""

    dag_id: str
    commit: str
    md5: str


@pytest.fixture(scope="module")
def tracked(stack: Stack) -> Iterator[Tracked]:
    """Push two commits' data from this machine, forget them here, and read the first by a DAG."""
    folder = ROOT / REPOSITORY
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    key, secret = stack.secret("dvc_access_key"), stack.secret("dvc_secret_key")
    login = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    try:
        run(folder, "git", "init", "-q", "-b", "main")
        run(folder, "dvc", "init", "-q")
        run(folder, "dvc", "remote", "add", "-q", "-d", "stack", "s3://dvc")
        commit = add(folder, 120, "120 irises")
        md5 = yaml.safe_load((folder / f"{PATH}.dvc").read_text("utf-8"))["outs"][0]["md5"]
        add(folder, 150, "150 irises")
        endpoint = f"http://127.0.0.1:{stack.minio_port}"
        run(folder, "dvc", "push", "-q", "--all-commits", AWS_ENDPOINT_URL_S3=endpoint, **login)
        forget(folder)
        with pipeline_added(stack, NAME, PIPELINE.replace("REVISION", commit)) as dag_id:
            yield Tracked(dag_id, commit, md5)
    finally:
        shutil.rmtree(folder)


def test_a_dag_reads_a_revision_from_minio(stack: Stack, tracked: Tracked) -> None:
    """With DVC's own key, which its containers have as a file; the run says which bytes they were."""
    run_id = stack.trigger(tracked.dag_id)
    assert stack.wait(tracked.dag_id, run_id) == "success"
    parent, *_ = stack.runs(run_id, NAME)
    assert [entry["value"] for entry in parent["data"]["params"] if entry["key"] == "rows"] == ["120"]
    assert parent["tags"]["waterflow.source_revision"] == tracked.commit
    assert parent["tags"]["waterflow.source_md5"] == tracked.md5


def test_the_lineage_names_the_revision(stack: Stack, tracked: Tracked) -> None:
    """As the first link of where the rows come from."""
    done = stack.compose("run", "--rm", "-T", "cli", "waterflow", "lineage", f"{NAME}@1", "--json", check=False)
    assert tracked.commit in done.stdout
    assert tracked.md5 in done.stdout
