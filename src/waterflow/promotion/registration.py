"""Registering a model as a version. The version has a card and the tags that trace it."""

from waterflow.config.schema import PipelineConfig
from waterflow.links import dag_run_url, run_link, run_page
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.training import Trained
from waterflow.reporting.run_tags import lineage_tags
from waterflow.reporting.step_manifest import log_step
from waterflow.reporting.titles import version_title
from waterflow.resources import Resources
from waterflow.stores.base import scratch_folder
from waterflow.tracking import tags as tag
from waterflow.tracking.registry import fit_description


def make_version(
    prepared: Prepared, evaluated: Evaluated, served: Trained, config: PipelineConfig, resources: Resources
) -> int:
    """Register the model that serves, with its card. It gets the tags that trace it. A repetition finds the version."""
    from waterflow.reporting.model_card import model_card

    winner = evaluated.winner
    existing = resources.registry.find_by_model(config.name, served.model_id)
    if existing is not None:
        return existing.version
    tags = lineage_tags(prepared) | {
        tag.PARENT_RUN_ID: prepared.parent_run_id,
        tag.DAG_RUN_ID: prepared.origin.run_id,
        tag.CANDIDATE: winner.candidate,
        tag.STRATEGY: config.strategy.name,
        tag.MODEL_ID: served.model_id,
        tag.SELECTED_MODEL_ID: winner.model_id,
        tag.COMPARED_MODELS: " ".join(fit.model_id for fit in evaluated.compared or (winner,)),
        tag.FITTED_ON: str(served.fitted_on),
        tag.RECIPE: evaluated.recipe,
        **_time_tags(evaluated, served),
        tag.ACTION_KEY: winner.action_key,
        tag.DATA_READ_AT: prepared.read_at.isoformat(),
        **{
            tag.METRIC_PREFIX + name: f"{evaluated.holdout_metrics[name]:.6g}"
            for name in config.shown_metrics
            if name in evaluated.holdout_metrics
        },
    }
    if evaluated.verdict is not None:
        tags |= {tag.VERDICT: evaluated.verdict.outcome, tag.VERDICT_REASON: evaluated.verdict.reason}
    links = {
        "Airflow run": dag_run_url(prepared.origin, resources.profile) or prepared.origin.run_id,
        "MLflow run": run_page(prepared.experiment_id, prepared.parent_run_id, resources.profile)
        or prepared.parent_run_id,
        "Run of the fit": served.run_id,
        "Data": prepared.data.digest,
        "Configuration": prepared.config.digest,
    }
    card = model_card(config, prepared, evaluated, links)
    with scratch_folder() as folder:
        (folder / tag.CARD_FILE).write_text(card, "utf-8")
        log_step("card", prepared.pipeline, prepared.parent_run_id, folder, resources)
    place = run_link(prepared.experiment_id, prepared.parent_run_id, resources.profile)
    title = version_title(evaluated, prepared.window, config)
    top = "\n\n".join(filter(None, (title, page_links(prepared, evaluated, resources))))
    whole = f"The whole card is the artifact `{tag.CARD_FILE}` of run {place}."
    description = fit_description(f"{top}\n\n{card}", whole)
    return resources.registry.register(config.name, served.model_id, served.run_id, description, tags)


def page_links(prepared: Prepared, evaluated: Evaluated, resources: Resources) -> str:
    """Return Markdown links to both runs and the report. Empty where none has an address."""
    experiment_id, run_id, profile = prepared.experiment_id, prepared.parent_run_id, resources.profile
    pages = {
        "Airflow run": dag_run_url(prepared.origin, profile),
        "MLflow run": run_page(experiment_id, run_id, profile),
    }
    if evaluated.verdict is not None:
        compared_by = resources.runs.get_run(run_id).tags.get(tag.EVALUATED_FROM, run_id)
        pages["report"] = run_page(experiment_id, compared_by, profile, tag.REPORT_FILE)
    return " · ".join(f"[{name}]({page})" for name, page in pages.items() if page)


def _time_tags(evaluated: Evaluated, served: Trained) -> dict[str, str]:
    """Return the time tags of a dated model.

    They name the last row that it was fitted on, and the first that was held out.
    """
    start = evaluated.compared[0].fitted_on.before if evaluated.compared else None
    moments = {tag.ROWS_UNTIL: served.rows_until if start else None, tag.HOLDOUT_START: start}
    return {name: moment.isoformat() for name, moment in moments.items() if moment}
