import pytest
from support.projects import message_of

from waterflow.config.compose import choose_scenario, compose_pipeline
from waterflow.config.header import read_scenarios, scenarios_for
from waterflow.config.project import Project
from waterflow.errors import ConfigError


def write_scenario(project: Project, name: str, text: str) -> None:
    (project.conf / "scenario" / f"{name}.yaml").write_text(f"# @package _global_\n{text}", "utf-8")


def test_a_scenario_changes_only_what_differs(project: Project) -> None:
    """The smaller sample; all else stays as the pipeline says."""
    plain, changed = compose_pipeline(project, "flowers"), compose_pipeline(project, "flowers", ["scenario=few_rows"])
    assert (changed.scenario, changed.sample, changed.tuning.trials) == ("few_rows", 0.1, 5)
    same = {"scenario", "sample", "tuning"}
    assert changed.model_dump(exclude=same) == plain.model_dump(exclude=same)


def test_a_scenario_may_name_other_candidates_and_another_strategy(project: Project) -> None:
    """It overrides the groups that the pipeline chose."""
    write_scenario(
        project, "trees", "defaults:\n  - override /strategy: quick\n  - override /model@candidates: [random_forest]\n"
    )
    config = compose_pipeline(project, "flowers", ["scenario=trees"])
    assert (config.strategy.name, list(config.candidates)) == ("quick", ["random_forest"])


def test_the_command_line_stands_above_a_scenario(project: Project) -> None:
    """Who types a value means it."""
    config = compose_pipeline(project, "flowers", ["scenario=few_rows", "sample=0.5"])
    assert config.sample == 0.5


def test_a_scenario_is_offered_to_the_pipelines_that_it_names(project: Project) -> None:
    """Without a key `for` it fits all."""
    write_scenario(project, "roses", "for: [roses]\nsample: 0.5\n")
    assert scenarios_for(read_scenarios(project.conf), "roses") == ("few_rows", "roses")
    assert scenarios_for(read_scenarios(project.conf), "flowers") == ("few_rows",)


def test_the_names_of_pipelines_are_no_part_of_the_configuration(project: Project) -> None:
    """`for` is read by the form and by the check alone."""
    write_scenario(project, "ours", "for: [flowers]\nsample: 0.5\n")
    assert compose_pipeline(project, "flowers", ["scenario=ours"]).sample == 0.5


@pytest.mark.parametrize("name", ["unheard_of", "../pipeline/flowers", "roses"])
def test_a_scenario_that_does_not_fit_is_refused_with_the_valid_ones(project: Project, name: str) -> None:
    """From the form and from the command line alike."""
    write_scenario(project, "roses", "for: [roses]\n")
    expected = f"scenario: {name!r} is none of flowers; valid: few_rows"
    assert expected in message_of(lambda: choose_scenario(project, "flowers", name), ConfigError)
    assert expected in message_of(lambda: compose_pipeline(project, "flowers", [f"scenario={name}"]), ConfigError)


def test_a_wrong_key_in_a_scenario_names_its_file(project: Project) -> None:
    """The pipeline's own file is not to blame."""
    write_scenario(project, "typo", "sampel: 0.5\n")
    message = message_of(lambda: compose_pipeline(project, "flowers", ["scenario=typo"]), ConfigError)
    assert "conf/pipeline/flowers.yaml with conf/scenario/typo.yaml: sampel: unknown key" in message


def test_a_scenario_without_its_header_is_refused_by_name(project: Project) -> None:
    """Without `@package _global_` Hydra would put its keys below a key `scenario`."""
    (project.conf / "scenario" / "bare.yaml").write_text("sample: 0.5\n", "utf-8")
    message = message_of(lambda: compose_pipeline(project, "flowers", ["scenario=bare"]), ConfigError)
    assert "conf/scenario/bare.yaml: its first line must be `# @package _global_`" in message


def test_a_scenario_may_hold_nothing_that_a_pipeline_may_not(project: Project) -> None:
    """Its values are checked as the pipeline's are."""
    write_scenario(project, "too_much", "sample: 2\n")
    assert "sample: 2 is not valid" in message_of(
        lambda: compose_pipeline(project, "flowers", ["scenario=too_much"]), ConfigError
    )
