"""The note of a parent run in MLflow. It is rendered from the records of its steps."""

from waterflow.config.profile import Profile
from waterflow.config.schema import PipelineConfig
from waterflow.links import dag_run_url
from waterflow.plurals import counted
from waterflow.records.data import Prepared
from waterflow.records.promotion import Registered


def run_note(prepared: Prepared, registered: Registered, config: PipelineConfig, profile: Profile) -> str:
    """Return what became of a run, as Markdown. It has version, metrics, window, and the decision once it is made."""
    lines = (
        [f"**{config.name}**: {registered.reason}."] if not registered.new else [_describe_version(registered, config)]
    )
    lines.append(f"Window {prepared.window}, data `{prepared.data.digest[:12]}`.")
    if registered.new and registered.evaluated.missing:
        lines.append(f"Not trained: {', '.join(registered.evaluated.missing)}.")
    if airflow_url := dag_run_url(prepared.origin, profile):
        lines.append(f"[Open the Airflow run]({airflow_url})")
    decision = registered.decision
    if decision is not None:
        lines.append(
            f"Decision {decision.sequence} of the ledger, by {decision.actor}: {decision.kind}: {decision.reason}."
        )
    return "\n\n".join(lines)


def _describe_version(registered: Registered, config: PipelineConfig) -> str:
    evaluated = registered.evaluated
    metrics = ", ".join(
        f"{name} {evaluated.holdout_metrics[name]:.4f}"
        for name in config.shown_metrics
        if name in evaluated.holdout_metrics
    )
    return (
        f"**{config.name} version {registered.version}**: {evaluated.winner.candidate}, best of "
        f"{counted(len(evaluated.ranked), 'candidate')} for {config.target}; "
        f"on {evaluated.holdout_rows} held-out rows: {metrics}."
    )
