"""The trigger form of a training DAG."""

from airflow.sdk import Param

from waterflow.config.header import Outline

MOMENT = (
    r"^\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|[12]\d))"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
)


def build_form(outline: Outline, strategies: tuple[str, ...], scenarios: tuple[str, ...]) -> dict[str, Param]:
    """Build the form's fields, by name.

    Values are names, times and a yes or no, so no trigger can make a run import code.
    """
    names = list(outline.candidates)
    rows = f"by {outline.time_column}" if outline.time_column else "this pipeline has no time column: leave it empty"
    # `format` shows a calendar; Airflow does not check it, so `pattern` refuses what is not a time.
    moment = {"type": ["null", "string"], "format": "date-time", "pattern": MOMENT}
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
        "window_start": Param(None, **moment, title="Window start", description=f"First moment of the rows, {rows}."),
        "window_end": Param(
            None,
            **moment,
            title="Window end",
            description=f"End of the rows, exclusive; now if empty; {rows}.",
        ),
        "force": Param(
            False,
            type="boolean",
            title="Force",
            description="Fit and evaluate again, even what an earlier run did with the same inputs.",
        ),
    }
