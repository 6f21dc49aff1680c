from datetime import timedelta

import pytest
from support.projects import message_of, write_pipeline

from waterflow.config.compose import compose_pipeline
from waterflow.config.header import TOP_LEVEL_KEYS, group_options, pipeline_files, read_outline
from waterflow.config.project import Project
from waterflow.config.schema import PipelineConfig, PromotionConfig
from waterflow.errors import ConfigError


def test_the_light_reader_knows_the_keys_of_the_schema() -> None:
    """A field that the schema gains or loses is one that the light reader must know too."""
    assert set(PipelineConfig.model_fields) - {"name", "scenario", "strategy"} | {"defaults"} == TOP_LEVEL_KEYS


def test_an_outline_says_what_a_dag_shows(project: Project) -> None:
    """Name, strategy and candidates stand in the YAML itself."""
    outline = read_outline(project.conf / "pipeline" / "flowers.yaml")
    assert (outline.name, outline.strategy) == ("flowers", "balanced")
    assert outline.candidates == ("gaussian_nb", "logistic_regression")
    assert (outline.owner, outline.tags, outline.schedule) == ("waterflow", (), None)


def test_listed_models_come_before_inline_candidates(project: Project) -> None:
    """An inline entry of a listed model adjusts it and is no second candidate."""
    inline = {"svc": {"params": {"C": 3.0}}, "nb": {"estimator": "sklearn.naive_bayes.GaussianNB"}}
    defaults = [{"/strategy": "quick"}, {"/model@candidates": ["svc"]}]
    outline = read_outline(write_pipeline(project, "flowers", defaults=defaults, candidates=inline))
    assert outline.candidates == ("svc", "nb")


def test_a_schedule_has_a_start_and_a_zone(project: Project) -> None:
    """The time zone is UTC unless the YAML says another."""
    path = project.conf / "pipeline" / "flowers.yaml"
    path.write_text(path.read_text() + "schedule:\n  cron: '0 3 * * 1'\n  start: 2026-01-01\n")
    schedule = read_outline(path).schedule
    assert schedule is not None
    assert (schedule.cron, schedule.start.isoformat(), schedule.timezone) == ("0 3 * * 1", "2026-01-01", "UTC")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("schedule: '@daily'\n", "is no schedule; write `cron:"),
        ("schedule:\n  cron: '0 3 * * 1'\n  start: soon\n", "schedule.start: 'soon' is no day"),
        ("schedule:\n  cron: '0 3 * * 1'\n  start: 2026-01-01\n  end: late\n", "schedule.end: 'late' is no day"),
        ("schedule:\n  cron: '0 3 * * 1'\n", "schedule.start: missing"),
        ("schedule:\n  cron: every day\n  start: 2026-01-01\n", "schedule.cron: 'every day' is no cron line"),
        (
            "schedule:\n  cron: '@daily'\n  start: 2026-01-01\n  zone: UTC\n",
            "schedule.zone: unknown key; did you mean 'timezone'? valid: cron,",
        ),
        (
            "schedule:\n  cron: '@daily'\n  start: 2026-01-01\n  timezone: Mars/Olympus\n",
            "schedule.timezone: 'Mars/Olympus' is unknown",
        ),
    ],
)
def test_a_malformed_schedule_is_named(project: Project, text: str, reason: str) -> None:
    """The message shows what a schedule looks like."""
    path = project.conf / "pipeline" / "flowers.yaml"
    path.write_text(path.read_text() + text)
    assert reason in message_of(lambda: read_outline(path), ConfigError)


@pytest.mark.parametrize(
    ("promotion", "timeout"),
    [
        (None, None),
        ({"approval": "auto", "approval_timeout": "3 days"}, None),
        ({"approval": "human"}, timedelta(days=1)),
        ({"approval": "human", "approval_timeout": "36 hours"}, timedelta(hours=36)),
        ({"approval": "human", "approval_timeout": "2 weeks"}, timedelta(days=14)),
    ],
)
def test_the_light_reader_knows_whether_a_person_is_asked(
    project: Project, promotion: dict[str, str] | None, timeout: timedelta | None
) -> None:
    """It decides the shape of the DAG, so it must say what the composed configuration says."""
    outline = read_outline(write_pipeline(project, "flowers", promotion=promotion))
    config = compose_pipeline(project, "flowers").promotion
    assert outline.approval_timeout == timeout
    assert outline.approval == config.approval


def test_a_person_is_waited_for_as_long_as_the_schema_says(project: Project) -> None:
    """The default of the light reader is the schema's."""
    outline = read_outline(write_pipeline(project, "flowers", promotion={"approval": "human"}))
    assert (outline.approval_timeout, PromotionConfig().approval_timeout) == (timedelta(days=1), "1 day")


@pytest.mark.parametrize(
    ("promotion", "reason"),
    [
        ("human", "promotion: 'human' is no mapping"),
        ({"approval": "maybe"}, "promotion.approval: 'maybe' is not valid; valid: 'auto' or 'human'"),
        ({"approval": "human", "approval_timeout": "soon"}, "promotion.approval_timeout: 'soon' is no duration"),
    ],
)
def test_a_malformed_approval_is_named(project: Project, promotion: object, reason: str) -> None:
    """With its place in the file."""
    message = message_of(lambda: read_outline(write_pipeline(project, "flowers", promotion=promotion)), ConfigError)
    assert message.startswith("conf/pipeline/flowers.yaml:")
    assert reason in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- a list\n", ":1: a mapping of keys is needed"),
        ("", ":1: a mapping of keys is needed"),
        ("target: x\n", ":1: defaults: a list is needed"),
        ("target: x\ndefaults:\n  - /model@candidates: [svc]\n", ":2: defaults: no strategy"),
        ("defaults:\n  - /strategy: quick\n", "no candidate; add"),
        ("defaults:\n  - /strategy: quick\ncandidates: [svc]\n", ":3: candidates: ['svc'] is no mapping"),
        ("target: x\ntarget: y\n", ":2: 'target' stands twice, first in line 1"),
        ("target: x\n\ttask: y\n", ":2: this is no YAML"),
    ],
)
def test_a_broken_file_is_named_with_its_line(project: Project, text: str, reason: str) -> None:
    """Every refusal of the light reader has file and line."""
    path = project.conf / "pipeline" / "flowers.yaml"
    path.write_text(text)
    message = message_of(lambda: read_outline(path), ConfigError)
    assert message.startswith("conf/pipeline/flowers.yaml:")
    assert reason in message


def test_a_pipeline_needs_a_plain_name(project: Project) -> None:
    """The file's name becomes the DAG's, the experiment's and the model's."""
    path = write_pipeline(project, "My-Flowers")
    assert "'My-Flowers' is no name for a pipeline" in message_of(lambda: read_outline(path), ConfigError)


def test_pipelines_are_listed_by_name(project: Project) -> None:
    """The order does not depend on the file system."""
    for name in ("zebra", "apple"):
        write_pipeline(project, name)
    assert [path.stem for path in pipeline_files(project.conf)] == ["apple", "flowers", "zebra"]


def test_options_of_a_group_are_its_files(project: Project) -> None:
    """A new strategy is a new file."""
    before = group_options(project.conf, "strategy")
    (project.conf / "strategy" / "careful.yaml").write_text("name: careful\n")
    assert group_options(project.conf, "strategy") == tuple(sorted([*before, "careful"]))
