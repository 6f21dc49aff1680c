"""The model card of a registered version, in Markdown."""

from collections.abc import Mapping

from waterflow.config.schema import PipelineConfig
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.reporting.rendering import render
from waterflow.reporting.verdict_text import describe_verdict
from waterflow.tracking.tags import CONFIG_FILE

MAX_NAMES = 10
MAX_INTENDED_USE_CHARS = 1500
NOT_STATED = "Not stated in the pipeline's YAML (`intended_use`)."


def model_card(config: PipelineConfig, prepared: Prepared, evaluated: Evaluated, links: Mapping[str, str]) -> str:
    """Return the card as Markdown.

    `links` are shown as lineage, by name: addresses, or ids where there is no address. A long intended use and long
    lists of candidates are cut; the configuration holds them in full.
    """
    use, missing = config.intended_use or config.description or NOT_STATED, evaluated.missing
    more = f" and {len(missing) - MAX_NAMES} more" if len(missing) > MAX_NAMES else ""
    return render(
        "model_card.md.j2",
        sentence=first_sentence(config, evaluated),
        intended_use=_shorten_use(use),
        config=config,
        prepared=prepared,
        evaluated=evaluated,
        verdict=evaluated.verdict,
        winner=evaluated.winner,
        shares=", ".join(f"{share.rows:,} {share.part}" for share in prepared.shares),
        missing=", ".join(missing[:MAX_NAMES]) + more,
        links=links,
    ).rstrip()


def first_sentence(config: PipelineConfig, evaluated: Evaluated) -> str:
    """Return one sentence for a manager. It says the purpose, and whether the model is better."""
    verdict = evaluated.verdict
    if evaluated.exploratory:
        return f"An exploratory model that predicts {config.target}; it was chosen on the very rows that evaluate it."
    if verdict is None:
        return f"This model predicts {config.target}."
    return f"This model predicts {config.target}; {describe_verdict(verdict, 'it')}"


def _shorten_use(use: str) -> str:
    """Cut a long intended use. It then names the artifact that holds all of it."""
    if len(use) <= MAX_INTENDED_USE_CHARS:
        return use
    return f"{use[:MAX_INTENDED_USE_CHARS].rstrip()}… (all of it: artifact {CONFIG_FILE} of the MLflow run)"
