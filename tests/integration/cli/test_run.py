import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.commands import Command
from support.projects import candidates, free_port, write_pipeline, write_rows

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.datasets.loaders import iris


def test_a_run_ends_with_its_table(waterflow: Command) -> None:
    """Candidates, winner, version, aliases, verdict, decision and the next commands."""
    answer = waterflow("run", "flowers")
    assert answer.code == 0
    for text in (
        "gaussian_nb",
        "logistic_regression",
        "f1_macro",
        "registered  flowers version 1  @challenger @champion",
        "verdict     promote against baseline stratified: f1_macro +",
        "decision    promote: version 1 is champion (row 1 of the ledger, by cli/",
        "waterflow show flowers",
    ):
        assert text in answer.out
    assert "error" not in answer.err


def test_a_run_takes_overrides(waterflow: Command) -> None:
    """`strategy=quick` explores and promotes nothing."""
    answer = waterflow("run", "flowers", "strategy=quick", "~candidates.logistic_regression")
    assert answer.code == 0
    assert "(no alias)" in answer.out
    assert "exploratory" in answer.out
    assert "logistic_regression" not in answer.out


def test_a_run_says_which_candidate_failed(waterflow: Command, tracked: Project) -> None:
    """The others go on, and the table has a line for it."""
    broken = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"C": -1.0}}
    write_pipeline(tracked, "flowers", **candidates(broken=broken, nb="sklearn.naive_bayes.GaussianNB"))
    answer = waterflow("run", "flowers")
    assert answer.code == 0
    assert "candidates.broken: InvalidParameterError while fitting" in answer.out
    assert "winner      nb" in answer.out


def test_versions_are_shown(waterflow: Command) -> None:
    """Newest first, with candidate, metrics and aliases."""
    first = waterflow("run", "flowers")
    winner = next(line.split()[1] for line in first.out.splitlines() if line.startswith("winner"))
    waterflow("run", "flowers", "strategy=quick")
    answer = waterflow("show", "flowers")
    rows = [line.split() for line in answer.out.splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["2", "1"]
    assert winner in rows[1]
    assert rows[0][-1] == "–"
    assert rows[1][-2:] == ["challenger,", "champion"]


def test_pipelines_are_listed_and_validated(waterflow: Command, tracked: Project) -> None:
    """A broken one has its reason, and the command fails."""
    assert waterflow("pipelines").code == 0
    write_pipeline(tracked, "roses", metrics={"main": "beauty"})
    answer = waterflow("pipelines")
    assert answer.code == 1
    assert "flowers" in answer.out
    assert "yes" in answer.out
    assert "roses" in answer.out
    assert "'beauty' is no metric for classification" in answer.err


def test_steps_run_one_by_one_on_files(waterflow: Command, tmp_path: Path) -> None:
    """prepare, train, evaluate, register and promote pass their records on as JSON."""
    names = ("prepared", "nb", "lr", "evaluated", "registered", "promoted")
    record = {name: tmp_path / f"{name}.json" for name in names}
    prepared = ("--prepared", str(record["prepared"]))
    answers = [
        waterflow("step", "prepare", "flowers", "--out", str(record["prepared"])),
        waterflow("step", "train", "gaussian_nb", *prepared, "--out", str(record["nb"])),
        waterflow("step", "train", "logistic_regression", *prepared, "--out", str(record["lr"])),
        waterflow(
            "step", "evaluate", str(record["nb"]), str(record["lr"]), *prepared, "--out", str(record["evaluated"])
        ),
        waterflow(
            "step",
            "register",
            *prepared,
            "--evaluated",
            str(record["evaluated"]),
            "--out",
            str(record["registered"]),
        ),
        waterflow(
            *("step", "promote", *prepared, "--registered", str(record["registered"])),
            *("--out", str(record["promoted"])),
        ),
    ]
    assert [answer.code for answer in answers] == [0] * 6
    registered = json.loads(record["registered"].read_text())
    assert (registered["model"], registered["version"], registered["aliases"]) == ("flowers", 1, ["challenger"])
    assert json.loads(record["promoted"].read_text())["aliases"] == ["challenger", "champion"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("run", "roses"), "'roses' is unknown; valid: flowers"),
        (("run", "flowers", "strategy=thorough"), "thorough"),
        (("run", "flowers", "metrics.main=beauty"), "'beauty' is no metric"),
        (("run", "flowers", "--end", "yesterday"), "'yesterday' is no time"),
        (("show", "flowers"), "has no version yet"),
        (
            ("step", "train", "svc", "--prepared", "none.json", "--out", "x.json"),
            "none.json: not a record of Prepared",
        ),
    ],
)
def test_an_error_is_one_line_and_a_failure(waterflow: Command, arguments: tuple[str, ...], reason: str) -> None:
    """Exit code 1, the reason, no traceback."""
    answer = waterflow(*arguments)
    assert answer.code == 1
    lines = [line for line in answer.err.splitlines() if line.strip()]
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("error: ")
    assert reason in lines[0]


def test_a_record_of_another_kind_is_one_line(waterflow: Command, tmp_path: Path) -> None:
    """A file that is JSON but no record of that step is named."""
    path = tmp_path / "other.json"
    path.write_text('{"colour": "red"}')
    answer = waterflow("step", "train", "gaussian_nb", "--prepared", str(path), "--out", str(tmp_path / "x.json"))
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert str(path) in answer.err


def test_a_candidate_that_was_not_prepared_is_one_line(waterflow: Command, tmp_path: Path) -> None:
    """The message lists the prepared ones."""
    path = tmp_path / "prepared.json"
    waterflow("step", "prepare", "flowers", "--out", str(path))
    answer = waterflow("step", "train", "svc", "--prepared", str(path), "--out", str(tmp_path / "x.json"))
    assert answer.code == 1
    assert "valid: gaussian_nb, logistic_regression" in answer.err


# Data


def test_a_broken_contract_ends_with_the_worst_rows_and_one_line(waterflow: Command, tracked: Project) -> None:
    """Row, column, value and rule, above the error."""
    write_pipeline(tracked, "flowers", contract={"columns": {"petal_width_cm": {"max": 2.4}}}, key=["sepal_length_cm"])
    answer = waterflow("run", "flowers")
    assert answer.code == 1
    *table, line = [line for line in answer.err.splitlines() if line.strip()]
    assert table[0].split() == ["row", "column", "value", "rule"]
    assert [row.split() for row in table[1:]] == [
        [f"sepal_length_cm={key}", "petal_width_cm", "2.5", "max:", "2.4"] for key in (6.3, 7.2, 6.7)
    ]
    assert line.startswith("error: contract: 3 breaks in 150 rows")


def test_a_proposed_contract_can_be_pasted(waterflow: Command, tracked: Project) -> None:
    """What `data profile` prints is a part of a pipeline's YAML, and the same rows keep it."""
    answer = waterflow("data", "profile", "flowers")
    assert answer.code == 0
    assert answer.out.startswith("# From 150 rows of data/flowers.csv")
    write_pipeline(tracked, "flowers", **yaml.safe_load(answer.out))
    assert waterflow("run", "flowers").code == 0


def test_a_profile_is_of_a_window(waterflow: Command, tracked: Project) -> None:
    """The rows that a run would see."""
    write_rows(tracked, iris().assign(day=["2026-01-01", "2026-02-01", "2026-03-01"] * 50))
    write_pipeline(tracked, "flowers", time_column="day", split={"kind": "time"})
    answer = waterflow("data", "profile", "flowers", "--start", "2026-01-15", "--end", "2026-02-15")
    assert answer.out.startswith("# From 50 rows")
    assert "day: {type: datetime, nullable: false, min: 2026-02-01}" in answer.out


def test_rows_without_a_time_are_left_out_by_where(waterflow: Command, tracked: Project) -> None:
    """The window cannot place them; the profile's JSON has the others."""
    write_rows(tracked, iris().assign(day=["2026-01-01", "2026-02-01", None] * 50))
    write_pipeline(tracked, "flowers", time_column="day", split={"kind": "time"}, rows={"where": "day.notna()"})
    answer = waterflow("data", "profile", "flowers", "--json")
    assert answer.code == 0, answer.err
    profile = json.loads(answer.out)
    assert (profile["rows"], profile["contract"]["min_rows"]) == (100, 50)
    days = next(column for column in profile["columns"] if column["name"] == "day")
    assert (days["role"], days["nulls"], days["low"]) == ("time", 0, "2026-01-01 00:00:00+00:00")


def test_what_can_be_fetched_is_listed(waterflow: Command) -> None:
    """With size, client, licence and whether it is here."""
    answer = waterflow("data", "fetch")
    rows = {line.split()[0]: line.split() for line in answer.out.splitlines()[1:]}
    assert set(rows) == {"reviews", "flights_3m"}
    assert rows["reviews"][1:4] == ["2.5", "MB", "pip"]
    assert rows["reviews"][-1] == "no"


def test_an_archive_that_is_not_the_right_one_is_one_line(waterflow: Command, tmp_path: Path) -> None:
    """Under whatever name it came."""
    archive = tmp_path / "vega-datasets-3.2.1.tgz"
    archive.write_bytes(b"<html>Please log in</html>")
    answer = waterflow("data", "fetch", "flights_3m", "--archive", str(archive))
    assert answer.code == 1
    assert "error: data fetch: the archive vega-datasets@3.2.1 must have the sha256" in answer.err


def test_a_run_without_its_fetched_data_names_the_command(waterflow: Command, tracked: Project) -> None:
    """One line, before anything is trained."""
    write_pipeline(tracked, "flowers", dataset={"kind": "package", "loader": "reviews"})
    answer = waterflow("run", "flowers")
    assert answer.code == 1
    assert answer.err.strip().endswith("fetch it with `waterflow data fetch reviews`")


# The installed command, in a process of its own


def shell(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in the project's folder."""
    command = [str(Path(sys.executable).parent / "waterflow"), *arguments]
    environment = os.environ | {"WATERFLOW_HOME": str(project.home)}
    return subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=120)


def test_a_tracking_server_that_does_not_answer_is_one_line(project: Project) -> None:
    """Exit code 1, the address and no traceback."""
    uri = f"http://127.0.0.1:{free_port()}"
    done = shell(project, "run", "flowers", f"profile.tracking_uri={uri}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: MLflow at {uri} does not answer")
    assert len(done.stderr.strip().splitlines()) == 1


def test_debug_shows_the_traceback(tracked: Project) -> None:
    """Only then."""
    write_rows(tracked, iris().assign(species="setosa"))
    done = shell(tracked, "--debug", "run", "flowers")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "there is nothing to learn" in done.stderr


def test_a_run_for_ci_ends_by_its_decision(waterflow: Command) -> None:
    """`--fail-on` gives exit code 3, and `--json` prints the record of the run alone."""
    answer = waterflow("run", "flowers", "strategy=quick", "--fail-on", "hold,reject", "--json")
    assert answer.code == 3, answer.err
    assert json.loads(answer.out)["decision"]["kind"] == "hold"
    assert "failed: the decision is hold, and --fail-on lists it" in answer.err
    assert waterflow("run", "flowers", "strategy=quick", "--fail-on", "reject").code == 0
    assert "'holt' is unknown; did you mean 'hold'?" in waterflow("run", "flowers", "--fail-on", "holt").err


def test_an_interrupted_run_says_how_to_go_on(waterflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is kept, the command to type, and the exit code of shells."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "run_all", interrupt)
    answer = waterflow("run", "flowers", "description='a b'", "--force")
    assert answer.code == 130
    assert "stopped: by Ctrl-C. Kept are the stored rows, every candidate that was fitted" in answer.err
    assert answer.err.strip().endswith("waterflow run flowers 'description='\"'\"'a b'\"'\"''")


def test_reading_commands_print_json_alone(waterflow: Command, tracked: Project) -> None:
    """With the keys that the reference lists; a broken YAML does not hide versions."""
    assert waterflow("run", "flowers").code == 0
    (listed,) = json.loads(waterflow("pipelines", "--json").out)
    assert (listed["pipeline"], listed["valid"], listed["problem"]) == ("flowers", True, None)
    shown = json.loads(waterflow("show", "flowers", "--json").out)
    assert shown["metrics"] == ["f1_macro", "accuracy", "log_loss"]
    (version,) = shown["versions"]
    assert (version["version"], sorted(version["aliases"])) == (1, ["challenger", "champion"])
    champion = json.loads(waterflow("champion", "flowers", "--json").out)
    assert (champion["version"], champion["kind"], champion["problem"]) == (1, "promote", "")
    assert json.loads(waterflow("ledger", "flowers", "--verify", "--json").out)["consistent"] is True
    write_pipeline(tracked, "flowers", metrics={"main": "beauty"})
    answer = waterflow("show", "flowers")
    assert answer.code == 0
    assert "note: conf/pipeline/flowers.yaml: metrics.main: 'beauty' is no metric" in answer.err
    assert "f1_macro" in answer.out
    assert "did you mean 'flowers'?" in waterflow("show", "flower").err
