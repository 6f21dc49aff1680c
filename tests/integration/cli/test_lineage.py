import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Command, command_in
from support.projects import FLOWERS, copy_database, make_project, write_pipeline
from support.tracing import alter, commit_all, path_of, version_of

from waterflow import workflow
from waterflow.cli.reproduce import differing
from waterflow.lineage.version_history import VersionHistory
from waterflow.resources import Resources

ONE = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> Resources:
    """Return a project under git with one registered version, which is champion."""
    project = make_project(tmp_path_factory.mktemp("trace"))
    copy_database(project, tracking_template)
    write_pipeline(project, "flowers", {**FLOWERS, "defaults": ONE}, promotion={"resamples": 200})
    commit_all(project.root)
    opened = workflow.open_resources(project)
    version_of("flowers", opened, full=True, decided=True)
    return opened


@pytest.fixture
def waterflow(resources: Resources, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return the command as a shell in the project's folder would run it, in this process."""
    return command_in(resources.project, monkeypatch, capsys)


def test_lineage_is_a_tree_in_the_shell(resources: Resources, waterflow: Command) -> None:
    """From the version down to the lock, and how many links resolve."""
    answer = waterflow("lineage", "flowers@champion")
    assert answer.code == 0
    assert answer.out.startswith("✓ version  flowers@1  aliases champion")
    for said in (
        "data set",
        "source  data/flowers.csv",
        "split",
        "git commit",
        "tree clean",
        "lock file",
        "image  none",
    ):
        assert said in answer.out
    assert "10 links resolved, 0 broken" in answer.out


def test_lineage_as_json_can_be_read(resources: Resources, waterflow: Command) -> None:
    """Digests are whole there."""
    answer = waterflow("lineage", "flowers@1", "--json")
    tree = json.loads(answer.out)
    assert tree["name"] == "flowers@1"
    assert len(tree["upstream"][0]["facts"]["sha256"]) == 64


def test_reproduce_prints_the_comparison_and_tags_a_run(resources: Resources, waterflow: Command) -> None:
    """`show` lists the same versions as before."""
    before = waterflow("show", "flowers").out
    answer = waterflow("reproduce", "flowers@champion")
    assert answer.code == 0, answer.err
    assert "with the present code" in answer.out
    assert "predictions when it was compared" in answer.out
    assert "flowers version 1 (gaussian_nb): reproduced exactly" in answer.out
    assert waterflow("show", "flowers").out == before


def test_an_audit_is_a_table_and_a_report(resources: Resources, waterflow: Command, tmp_path: Path) -> None:
    """Every share is whole, that of reproduced versions too."""
    answer = waterflow("audit", "flowers", "--report", str(tmp_path / "audit.md"))
    assert answer.code == 0, answer.err
    assert "versions that reproduce confirms" in answer.out
    report = (tmp_path / "audit.md").read_text()
    assert "| versions that reproduce confirms | 1 | 1 | 100.0 % |" in report
    assert "| versions whose whole lineage resolves | 1 | 1 | 100.0 % |" in report
    assert report.count(" | 100.0 % |") == 12
    assert report.endswith("## Findings\n\nNone.\n")


@pytest.mark.parametrize("command", [("lineage", "flower"), ("reproduce", "flowers@2"), ("audit", "tulips")])
def test_what_does_not_exist_is_one_line(resources: Resources, waterflow: Command, command: tuple[str, str]) -> None:
    """And the exit code is 1."""
    answer = waterflow(*command)
    assert answer.code == 1
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1


@pytest.fixture
def _altered(resources: Resources) -> Iterator[None]:
    """Change a byte of the data for one test."""
    blob = VersionHistory(resources.registry.list_versions("flowers")[0], resources).prepared.data
    content = path_of(blob, resources).read_bytes()
    alter(blob, resources)
    yield
    path_of(blob, resources).write_bytes(content)


@pytest.mark.usefixtures("_altered")
def test_a_broken_link_is_an_error_and_a_finding(resources: Resources, waterflow: Command) -> None:
    """Each command says which, and why."""
    traced = waterflow("lineage", "flowers@1")
    assert traced.code == 1
    assert "9 links resolved, 1 broken" in traced.out
    assert traced.err.startswith("error: data set: ")
    refused = waterflow("reproduce", "flowers@1")
    assert (refused.code, refused.err.count("altered or cut short")) == (1, 1)
    audited = waterflow("audit", "flowers", "--json", "--reproduce", "0")
    assert audited.code == 1
    assert {finding["check"] for finding in json.loads(audited.out)["findings"]} == {
        "artifacts equal to their digests",
        "versions whose whole lineage resolves",
    }


def test_only_what_differs_in_a_row_is_printed() -> None:
    """Numbers that look alike are shown in full."""
    row = {
        "row": 3,
        "truth_recorded": "a",
        "truth_again": "a",
        "probability_a_recorded": 0.25,
        "probability_a_again": 0.5,
        "probability_b_recorded": 0.3,
        "probability_b_again": 0.30000000000000004,
    }
    assert differing(row) == "probability_a 0.25 → 0.5, probability_b 0.3 → 0.30000000000000004"
