"""A package of a user's own on the stack, put into the checkout as a person would, where git does not track it."""

import shutil
from collections.abc import Iterator

import pytest
import yaml
from support.compose import ROOT, Stack, pipeline_added
from support.own_package import own_pipeline, write_modules

pytestmark = pytest.mark.stack

PACKAGE = "pasture"


@pytest.fixture(scope="module")
def dag(stack: Stack) -> Iterator[str]:
    """Yield the DAG of a pipeline that names the package wherever it can."""
    folder = ROOT / "own" / PACKAGE
    write_modules(folder)
    try:
        with pipeline_added(stack, PACKAGE, yaml.safe_dump(own_pipeline(PACKAGE))) as name:
            yield name
    finally:
        shutil.rmtree(folder)


def test_tasks_find_it_and_the_command_reproduces_it(stack: Stack, dag: str) -> None:
    """Each container sees the checkout; the run keeps the modules, and the command trains the same model from them."""
    run_id = stack.trigger(dag)
    assert stack.wait(dag, run_id) == "success"
    parent, *_ = stack.runs(run_id, PACKAGE)
    assert parent["tags"]["waterflow.git_dirty"] == "true"
    done = stack.compose("run", "--rm", "cli", "waterflow", "reproduce", f"{PACKAGE}@champion", check=False)
    assert done.returncode == 0, done.stderr
    assert "uncommitted changes" in done.stdout
    assert "reproduced exactly" in done.stdout
