"""Records of fitted candidates and of the choices behind them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from waterflow.records.base import Record
from waterflow.records.data import Part

ScoredOn = Literal["validation", "folds", "test"]


class DecisionRule(Record):
    """The decision rule of a two-class model.

    It is chosen from out-of-sample predictions. A row is called `positive` if its probability of it reaches
    `threshold`. `slope`, `intercept` and `knots` calibrate that probability; by default they leave it unchanged.
    `positive_rate` is the share of those predictions that are called positive.
    """

    positive: Any
    threshold: float
    positive_rate: float
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    @property
    def is_calibrated(self) -> bool:
        """Whether probabilities are mapped at all."""
        return bool(self.knots) or (self.slope, self.intercept) != (1.0, 0.0)


class FitChoices(Record):
    """What selection chose for a candidate. A later fit on other rows keeps it.

    `params` are the estimator's parameters on top of the YAML's, `rounds` those of boosting where it was stopped early,
    `decision` calibration and threshold.
    """

    params: dict[str, Any] = Field(default_factory=dict)
    rounds: int | None = None
    decision: DecisionRule | None = None

    @property
    def params_with_rounds(self) -> dict[str, Any]:
        """The parameters of a fit that nothing stops early."""
        return self.params | ({"n_estimators": self.rounds} if self.rounds else {})


class FitRows(Record):
    """The prepared rows that a fit learns from.

    They are those of `parts`, all if empty, known `before` a moment if one is given. A row is known when its outcome
    is, `label_delay` after its time.
    """

    parts: tuple[Part, ...] = ("train",)
    before: datetime | None = None

    def __str__(self) -> str:
        """Describe the rows: `train + validation`, `all before 2013-06-01T00:00:00+00:00`."""
        name = " + ".join(self.parts) or "all"
        return name if self.before is None else f"{name} before {self.before.isoformat()}"


class Trained(Record):
    """One fitted candidate: run, model, and scores for selection.

    `metrics` leaves out those per class, which MLflow has. Scored on folds they are means over them, and `spread`
    holds their standard deviations. `tuned` holds the parameters that a search chose, `trials` how many it took,
    of which `failed_trials` failed, such as by `trial_failure`.
    `choices` are what a fit takes on top of the YAML. `threads` is how many it had. `fitted_on` are its rows: a fit of
    the same recipe on other rows than the training part has no metrics of its own. `rows_until` is the time of the last
    of them, where that is known. `model_digest` is the sha256 of all files of the model. `cached_from` is the MLflow
    run of the fit, if it is an earlier one.
    """

    candidate: str
    action_key: str
    run_id: str
    model_id: str
    model_digest: str = ""
    scored_on: ScoredOn
    metrics: dict[str, float]
    spread: dict[str, float] = Field(default_factory=dict)
    tuned: dict[str, Any] = Field(default_factory=dict)
    trials: int = 0
    failed_trials: int = 0
    trial_failure: str = ""
    choices: FitChoices = FitChoices()
    threads: int = 0
    fitted_on: FitRows = FitRows()
    rows_until: datetime | None = None
    fit_seconds: float
    cached_from: str | None = None

    @property
    def fit_params(self) -> dict[str, Any]:
        """The parameters of this fit on top of the YAML's. Validation rows stop it by themselves."""
        watches = self.scored_on == "validation" and self.fitted_on == FitRows()
        return self.choices.params if watches else self.choices.params_with_rounds

    @property
    def tuning_warning(self) -> str:
        """A warning where most trials failed. Empty for others."""
        if self.failed_trials * 2 <= self.trials:
            return ""
        return f"{self.candidate}: {self.failed_trials} of {self.trials} trials failed ({self.trial_failure})"

    @property
    def where(self) -> str:
        """What the scores were measured on. The words follow `candidates`."""
        return {
            "validation": "on the validation rows",
            "folds": "by their mean over the folds",
            "test": "on the test rows (exploratory)",
        }[self.scored_on]
