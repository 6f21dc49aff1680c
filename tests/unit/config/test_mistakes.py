"""Mistakes of people who are new to YAML and Hydra: each refusal has the file, the key, the value and what helps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.projects import message_of

from waterflow.config.compose import compose_pipeline, compose_profile
from waterflow.config.header import read_outline
from waterflow.config.mlflow_variables import RUNS, check_mlflow_variables
from waterflow.config.profile import Profile
from waterflow.config.project import Project
from waterflow.errors import ConfigError


def add(project: Project, text: str) -> Path:
    """Append lines to the pipeline `flowers`."""
    path = project.conf / "pipeline" / "flowers.yaml"
    path.write_text(path.read_text("utf-8") + text + "\n", "utf-8")
    return path


SCHEDULE = "schedule: {{cron: {cron}, start: {start}}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("drop: [on]", "drop: YAML reads on as true; write 'on' with quotes"),
        ("contract: {columns: {land: {values: [SE, NO]}}}", "contract.columns.land.values: YAML reads NO as false"),
        ("contract: {columns: {off: {type: number}}}", "contract.columns.off: YAML reads off as false"),
        ("costs: {positive: yes}", "costs.positive: YAML reads yes as true; write 'yes' with quotes; if true is meant"),
        ("contract: {columns: {zip: {values: [01067]}}}", "YAML reads 01067 as an octal number, 567; write '01067'"),
        ("contract: {columns: {at: {values: [12:30]}}}", "YAML reads 12:30 as a number of base 60; write '12:30'"),
        ("tags: [2024]", "tags: 2024 is no text; write '2024' with quotes"),
        ("tags: example", "tags: 'example' is no list; write [example]"),
        (f"tags: [{'x' * 120}]", "has 120 characters; Airflow has room for 100"),
        (f"owner: {'x' * 501}", "has 501 characters; Airflow has room for 500"),
        (SCHEDULE.format(cron="'0 0 3 * * *'", start="2024-01-01"), "write five (minute, hour, "),
        (SCHEDULE.format(cron="'0 0 31 2 *'", start="2024-01-01"), "schedule.cron: '0 0 31 2 *' never fires"),
        (SCHEDULE.format(cron="5", start="2024-01-01"), "schedule.cron: 5 is no cron line; write it with quotes"),
        (SCHEDULE.format(cron="'@daily'", start="2024-01-01 06:30:00"), "schedule.start: '2024-01-01 06:30:00' has a"),
        (
            SCHEDULE.format(cron="'@daily'", start="2024-01-02, end: 2024-01-01"),
            "schedule.end: 2024-01-01 is not after",
        ),
        ("promotion: {approval: human, approval_timeout: 0 days}", "approval_timeout: '0 days' leaves no time"),
        ("description: a: b", "'description: a: b': a value that contains `: ` needs quotes"),
        ("owner: @team", "a value that begins with %, @ or ` needs quotes"),
        ("intended_use: =", "a value that begins with `!` or is `=` needs quotes"),
        ("contract:\n\tcolumns: {}", "'columns: {}': indent with spaces, not with tabs"),
    ],
)
def test_a_surprise_of_yaml_is_refused_by_the_dag_and_the_command(project: Project, text: str, said: str) -> None:
    """The parse-time reader refuses it, so both show the same line, with file and line number."""
    path = add(project, text)
    message = message_of(lambda: read_outline(path), ConfigError)
    assert message.startswith("conf/pipeline/flowers.yaml:")
    assert said in message
    assert message_of(lambda: compose_pipeline(project, "flowers"), ConfigError) == message


@pytest.mark.parametrize("text", ["drop: ['on']", "tags: ['2024']", "contract: {columns: {petal: {nullable: true}}}"])
def test_the_quoting_of_the_message_helps(project: Project, text: str) -> None:
    """What it says to write is read as written."""
    add(project, text)
    compose_pipeline(project, "flowers")


def test_a_day_may_have_quotes(project: Project) -> None:
    """Both readers take a day as YAML's date and as a text."""
    path = add(project, SCHEDULE.format(cron="'0 3 * * 1'", start="'2024-01-01'"))
    schedule, composed = read_outline(path).schedule, compose_pipeline(project, "flowers").schedule
    assert schedule is not None
    assert composed is not None
    assert schedule.start == composed.start


@pytest.mark.parametrize("text", ["Worth in ${currency}", "Worth in ${cur rency}", "Worth in ${a:b}"])
def test_a_reference_by_accident_is_named(project: Project, text: str) -> None:
    """With the key, the text and the sign that makes it a text."""
    path = add(project, f"intended_use: '{text}'")
    message = message_of(lambda: compose_pipeline(project, "flowers"), ConfigError)
    assert message.startswith("conf/pipeline/flowers.yaml:")
    assert f"intended_use: {text!r}: ${{…}} stands for another key" in message
    path.write_text(path.read_text("utf-8").replace("${", "\\${"), "utf-8")
    assert compose_pipeline(project, "flowers").intended_use == text


def test_a_file_in_another_encoding_is_named(project: Project) -> None:
    """With its line, not as a traceback."""
    path = project.conf / "pipeline" / "flowers.yaml"
    path.write_bytes(path.read_bytes() + b"owner: Z\xfcrich\n")
    assert "the byte 0xfc is not UTF-8; save the file as UTF-8" in message_of(lambda: read_outline(path), ConfigError)


def test_a_file_that_ends_in_yml_is_named(project: Project) -> None:
    """It would otherwise look as if it were not there."""
    (project.conf / "pipeline" / "flowers.yaml").rename(project.conf / "pipeline" / "flowers.yml")
    message = message_of(lambda: compose_pipeline(project, "flowers"), ConfigError)
    assert message == "conf/pipeline/flowers.yml: only files that end in .yaml are read; rename it to flowers.yaml"


@pytest.mark.parametrize("name", ["flower", "Flowers", "flowers.yaml", "conf/pipeline/flowers.yaml"])
def test_a_name_that_is_nearly_right_is_guessed(project: Project, name: str) -> None:
    """A path that the shell completed is a name nearly right."""
    message = message_of(lambda: compose_pipeline(project, name), ConfigError)
    assert f"pipeline: {name!r} is unknown; did you mean 'flowers'?" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metrics: {main: f1}", "metrics.main: 'f1' is no metric for classification; did you mean 'f1_macro'?"),
        ("metrics: f1_macro", "metrics: 'f1_macro' is no mapping of keys; valid: main, own, show"),
        ("task: classificaton", "task: 'classificaton' is not valid; did you mean 'classification'?"),
        ("dataset: {kind: cvs, path: x}", "dataset.kind: 'cvs' is unknown; did you mean 'csv'?"),
        ("dataset: {kind: csv, path: x, separatr: ';'}", "unknown key; did you mean 'separator'? valid: comment, "),
        ("target:", "target: None is not valid: the key is empty"),
        ("split: {test_fraction: 20%}", "split.test_fraction: '20%' is not valid; valid: a number such as 0.2"),
    ],
)
def test_a_wrong_value_comes_with_the_right_ones(project: Project, text: str, said: str) -> None:
    """In words of the YAML, not of the library that refused it."""
    path = project.conf / "pipeline" / "flowers.yaml"
    kept = path.read_text("utf-8").split(f"\n{text.partition(':')[0]}:", maxsplit=1)
    rest = kept[1].splitlines()[1:]
    while rest and rest[0].startswith(" "):
        rest.pop(0)
    path.write_text("\n".join([kept[0], text, *rest]) + "\n", "utf-8")
    assert said in message_of(lambda: compose_pipeline(project, "flowers"), ConfigError)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("quick", "it has no =; write KEY=VALUE, such as strategy=quick"),
        ("--strategy=quick", "'--strategy' is no key; write KEY=VALUE without spaces or dashes before it"),
        ("description=a=b", "= in a value needs quotes of its own; in a shell write \"description='a=b'\""),
        ("description=a#b", "in a shell write \"description='a#b'\""),
        ("description=a (b)", "in a shell write \"description='a (b)'\""),
        ("description=it's", "in a shell write 'description=\"it'\"'\"'s\"'"),
        ("dataset.path=data/übung.csv", "in a shell write \"dataset.path='data/übung.csv'\""),
        ("tags=a,b", "a comma lists several values; write a list as 'tags=[a,b]', a text as \"tags='a,b'\""),
        ("promotion.alpha=0,05", "a number as promotion.alpha=0.05"),
        ("key=[a,]", "'[a,]' is no list or mapping that can be read; write it like 'key=[first,second]'"),
        ("key=id", "key: 'id' is no list; write [id]"),
        ("strategy=quik", "'quik' is unknown; did you mean 'quick'?"),
        ("+strategy=quick", "a file is chosen without a sign; write strategy=quick"),
        ("strategy=quick,balanced", "a run has one strategy; write strategy=quick or strategy=balanced"),
        ("model@candidates=[svc,knn]", "'knn' is unknown; valid: bert, "),
        ("pipeline=iris", "the pipeline is the command's argument: `waterflow run iris`"),
        ("candidates.lr.params.C=1", "the run has no candidate 'lr'; valid: gaussian_nb, logistic_regression"),
        ("~candidates.svc", "the run has no candidate 'svc'"),
        ("~nothing", "there is no such key to remove"),
        ("metrics.main=f1", "metrics.main: 'f1' is no metric for classification; did you mean 'f1_macro'?"),
        ("description=${x}", "description: '${x}': ${…} stands for another key"),
    ],
)
def test_an_override_is_named_with_what_to_write(project: Project, override: str, said: str) -> None:
    """The shell's quoting included, in our words and not Hydra's."""
    message = message_of(lambda: compose_pipeline(project, "flowers", [override]), ConfigError)
    assert said in message
    assert "hydra.cc" not in message


BASE = {"name": "embedded", "tracking_uri": "sqlite:///home/mlflow.db", "store_uri": "store"}


def test_an_address_that_contradicts_the_profile_is_refused() -> None:
    """One that says the same holds, and so do variables that are no address."""
    environment = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    message = message_of(lambda: check_mlflow_variables(Profile(**BASE), environment), ConfigError)
    assert message.startswith(
        "MLFLOW_TRACKING_URI: 'http://127.0.0.1:9' is set, but profile embedded keeps its runs at"
    )
    check_mlflow_variables(Profile(**BASE), {"MLFLOW_TRACKING_URI": "sqlite:///home/mlflow.db", "MLFLOW_WORKERS": "2"})


@pytest.mark.parametrize("name", ["MLFLOW_REGISTRY_URI", *RUNS])
def test_what_mlflow_would_obey_in_part_is_refused(name: str) -> None:
    """A run, an experiment or a registry that the shell names."""
    message = message_of(lambda: check_mlflow_variables(Profile(**BASE), {name: "mine"}), ConfigError)
    assert message.startswith(f"{name}: 'mine' is set, but")


def test_the_stack_reads_the_address(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """So there is nothing to contradict."""
    monkeypatch.setenv("WATERFLOW_PROFILE", "stack")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert compose_profile(project).tracking_uri == "http://127.0.0.1:9"


@pytest.mark.parametrize("name", ["ledger", "champion"])
def test_a_command_refuses_the_address_of_the_shell(project: Project, name: str) -> None:
    """Before it opens anything, with and without MLflow."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "WATERFLOW_HOME": str(project.home)}
    command = [sys.executable, "-c", "from waterflow.cli import main; main()", name, "flowers"]
    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: MLFLOW_TRACKING_URI: 'http://127.0.0.1:9' is set")
    assert not project.home.exists()
