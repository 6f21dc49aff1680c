"""The trigger form of a training DAG."""

from airflow.sdk import Param

from waterflow.config.header import Outline
from waterflow.orchestration.trigger_conf import MOMENT


def build_form(outline: Outline, strategies: tuple[str, ...], scenarios: tuple[str, ...]) -> dict[str, Param]:
    """Build the form's fields, by name.

    Values are names, times and a yes or no, so no trigger can make a run import code. A window is asked for only
    where a column dates the rows.
    """
    names = list(outline.candidates)
    return {
        "strategy": Param(
            outline.strategy,
            type="string",
            enum=list(strategies),
            title="Strategy",
            description="How candidates are selected. quick only explores: it never promotes.",
        ),
        "scenario": Param(
            None,
            type=["null", "string"],
            enum=[None, *scenarios],
            title="Scenario",
            description="A file of conf/scenario/ that changes only what differs; none if empty.",
        ),
        "candidates": Param(
            names,
            type="array",
            items={"type": "string", "enum": names},
            examples=names,
            minItems=1,
            uniqueItems=True,
            title="Candidates",
            description="Which of the pipeline's estimators to train.",
        ),
        **(build_window(outline.time_column) if outline.time_column else {}),
        "force": Param(
            False,
            type="boolean",
            title="Force",
            description="Fit and evaluate again, even what an earlier run did with the same inputs.",
        ),
    }


def build_window(time_column: str) -> dict[str, Param]:
    """Build the two fields of a window over a column."""
    # `format` shows a calendar; Airflow does not check it, so `pattern` refuses what is not a time.
    moment = {"type": ["null", "string"], "format": "date-time", "pattern": MOMENT}
    start = f"First moment of the rows, by {time_column}."
    end = f"End of the rows, exclusive; now if empty; by {time_column}."
    return {
        "window_start": Param(None, **moment, title="Window start", description=start),
        "window_end": Param(None, **moment, title="Window end", description=end),
    }
