"""Tuning of a candidate's parameters with Optuna. The study outlives its process.

The study's name is the training's action key: a retry after a crash resumes the study, and several workers on one
database share its trials. The first trial has the parameters of the YAML, so tuning never ends below them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from waterflow.config.estimators import build_estimator
from waterflow.config.schema import PipelineConfig
from waterflow.errors import FitError
from waterflow.records.training import DecisionRule
from waterflow.training.cross_validation import ParameterScores, score_params
from waterflow.training.fitting import PreprocessedSplit, captured_warnings
from waterflow.training.parallelism import is_single_threaded, limited_threads, useful_threads
from waterflow.training.tuning.search_space import ParameterLabels, SearchSpace
from waterflow.training.tuning.study_storage import heartbeat, open_storage

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, TrialState

DEFAULT_TRIALS = 20
TrialReport = Callable[[int, int, float | None], None]
# Attributes of a trial: whether it has the configured parameters, and its outcome.
CONFIGURED, OUTCOME = "configured", "outcome"


@dataclass(frozen=True)
class Tuned:
    """The best parameters, their scores, and every trial.

    `trials` has a row per trial: number, state, value (the mean of the main metric), a column per parameter, seconds,
    and the reason of a failure. `study` holds the finished trials in memory. `note` says why there are fewer trials
    than configured.
    """

    params: dict[str, Any]
    best: ParameterScores
    trials: pd.DataFrame
    study: "Study"
    note: str | None

    @property
    def counts(self) -> dict[str, Any]:
        """Return the numbers of trials, as `Trained` names them."""
        ran = self.trials[self.trials["seconds"].notna()]
        failed = ran[ran["state"] == "FAIL"]
        reason = str(failed["reason"].iloc[0]) if len(failed) else ""
        return {"trials": len(ran), "failed_trials": len(failed), "trial_failure": reason[:500]}


def tune_candidate(
    config: PipelineConfig,
    candidate: str,
    splits: Sequence[PreprocessedSplit],
    *,
    database_uri: str,
    study_name: str,
    threads: int = 1,
    report: TrialReport = lambda done, planned, best: None,
) -> Tuned:
    """Score parameters until trials or time run out. Returns the best.

    A multi-threaded estimator gets all `threads`, trial after trial; of any other, as many trials run in parallel.
    `report` is told how many trials are done, of how many, and the best value so far. Seed, rows and `threads`
    determine the outcome. Raises FitError when every trial failed, StoreError or
    UnreachableError when the database cannot be used.
    """
    threads = useful_threads(threads, len(splits[0].train_target))
    with captured_warnings(), limited_threads(threads), open_storage(database_uri) as storage:
        search = _Search(config, candidate, splits, storage, study_name, threads)
        while (count := search.count_next()) > 0:
            batch = [search.ask() for _ in range(count)]
            with heartbeat(storage, batch), search.failing(batch):
                search.run(batch)
            report(len(search.finished()), search.planned, search.best_value)
        return search.result()


class _Search:
    """One process's share of a study."""

    def __init__(
        self,
        config: PipelineConfig,
        candidate: str,
        splits: Sequence[PreprocessedSplit],
        storage: "RDBStorage",
        study_name: str,
        threads: int,
    ) -> None:
        estimator = build_estimator(config.candidates[candidate], config.seed, f"candidates.{candidate}")
        search = config.search_of(candidate)
        assert search is not None
        self.config, self.candidate, self.splits, self.search = config, candidate, splits, search
        self.metric = config.main_metric
        self.space = SearchSpace(search.space, estimator.get_params())
        self.points = _points(self.space, config.seed) if search.method == "grid" else None
        self.planned = self._count_planned()
        self.workers = threads if is_single_threaded(estimator) else 1
        self.threads = threads // self.workers
        self.study = _open_study(storage, study_name, self.metric.greater_is_better, search.pruning)
        self.seconds_before = sum(_outcome(trial)["seconds"] for trial in self.finished()) / self.workers
        self.started = time.perf_counter()
        self.is_configured_begun = False
        self.best: tuple[int, ParameterScores] | None = None

    def finished(self) -> list["FrozenTrial"]:
        """Return the finished trials. Those of a dead process do not count."""
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state.is_finished() and OUTCOME in trial.user_attrs]

    def count_next(self) -> int:
        """Return how many trials to run next. The first runs even without time."""
        done, seconds = len(self.finished()), self.seconds_before + time.perf_counter() - self.started
        is_late = self.search.time_budget_seconds is not None and seconds >= self.search.time_budget_seconds
        return 0 if done and is_late else min(self.workers, self.planned - done)

    def ask(self) -> "Trial":
        """Begin a trial. First come the configured parameters, then the grid's or TPE's."""
        from optuna.samplers import TPESampler

        # A single stream of random numbers would repeat itself in a process that resumes the study.
        number = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = TPESampler(
            seed=int(np.random.SeedSequence([self.config.seed, number]).generate_state(1)[0])
        )
        if not self.is_configured_begun and not any(trial.user_attrs.get(CONFIGURED) for trial in self.finished()):
            return self._ask_configured()
        if self.points is not None:
            self.study.enqueue_trial(self._next_point(self.points))
        return self.study.ask(self.space.distributions())

    def run(self, batch: Sequence["Trial"]) -> None:
        """Run trials in parallel and report their outcomes in order. That makes results repeatable."""
        with ThreadPoolExecutor(self.workers) as pool:
            outcomes = list((pool.map if len(batch) > 1 else map)(self._run_trial, batch))
        for trial, (state, scored) in zip(batch, outcomes, strict=True):
            value = None if scored is None else scored.means[self.metric.name]
            self.study.tell(trial, value, state=state, skip_if_finished=True)
            best = self.best_value
            if scored is not None and value is not None and (best is None or self.metric.better(value, best)):
                self.best = (trial.number, scored)

    @property
    def best_value(self) -> float | None:
        """The best value of this process. None before there is one."""
        return None if self.best is None else self.best[1].means[self.metric.name]

    @contextmanager
    def failing(self, batch: Sequence["Trial"]) -> Iterator[None]:
        """Mark interrupted trials as failed; they do not count."""
        from optuna.trial import TrialState

        try:
            yield
        except BaseException:
            for trial in batch:
                self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            raise

    def result(self) -> Tuned:
        """Return the best trial of all processes. It is the earliest of equals; raises FitError without any."""
        from optuna.trial import TrialState

        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            raise FitError(_outcome(self.finished()[0])["reason"])
        sign = -1 if self.metric.greater_is_better else 1
        best = min(complete, key=lambda trial: (sign * float(trial.value or 0), trial.number))
        own = self.best[1] if self.best is not None and self.best[0] == best.number else None
        return Tuned(
            params=self.space.params_of(best.params),
            best=own or _stored_scores(best),
            trials=self._table(),
            study=self._detached(),
            note=self._note(),
        )

    def _ask_configured(self) -> "Trial":
        self.is_configured_begun = True
        labels = self.space.configured_labels()
        if labels is not None:
            self.study.enqueue_trial(labels, user_attrs={CONFIGURED: True})
            return self.study.ask(self.space.distributions())
        trial = self.study.ask()  # outside the space, so that TPE learns nothing from it
        trial.set_user_attr(CONFIGURED, True)
        return trial

    def _count_planned(self) -> int:
        if self.points is None:
            return self.search.trials or DEFAULT_TRIALS
        total = len(self.points) + (self.space.configured_labels() is None)
        return min(self.search.trials or total, total)

    def _next_point(self, points: Sequence[ParameterLabels]) -> ParameterLabels:
        done = [trial.params for trial in self.finished()]
        begun = [trial.params for trial in self.study.get_trials(deepcopy=False) if not trial.state.is_finished()]
        left = [point for point in points if point not in done] or list(points)
        return next((point for point in left if point not in begun), left[0])

    def _run_trial(self, trial: "Trial") -> tuple["TrialState", ParameterScores | None]:
        from optuna import TrialPruned
        from optuna.trial import TrialState

        def report(number: int, mean: float) -> None:
            if len(self.splits) > 1:
                trial.report(mean, number)
                if number < len(self.splits) and trial.should_prune():
                    raise TrialPruned

        started, state, scored = time.perf_counter(), TrialState.COMPLETE, None
        outcome: dict[str, Any] = {}
        try:
            params = self.space.params_of(trial.params)
            scored = score_params(self.config, self.candidate, self.splits, params, threads=self.threads, report=report)
            decision = scored.decision and scored.decision.to_json()
            outcome = {"scores": scored.scores, "rounds": scored.rounds, "decision": decision}
        except TrialPruned:
            state = TrialState.PRUNED
        except FitError as error:
            state, outcome = TrialState.FAIL, {"reason": str(error)}
        trial.set_user_attr(OUTCOME, {"seconds": time.perf_counter() - started, **outcome})
        return state, scored

    def _note(self) -> str | None:
        done = len(self.finished())
        if done < self.planned:
            return f"the time budget of {self.search.time_budget_seconds} s ended after {done} of {self.planned} trials"
        if self.points is not None and self.planned < len(self.points):
            return f"{self.planned} of {len(self.points)} points of the grid were tried"
        return None

    def _detached(self) -> "Study":
        import optuna

        study = optuna.create_study(direction=self.study.direction)
        study.add_trials(self.finished())
        return study

    def _table(self) -> pd.DataFrame:
        rows = []
        for trial in self.study.get_trials(deepcopy=False):
            outcome = trial.user_attrs.get(OUTCOME, {})
            params = {name: trial.params.get(name) for name in self.space.dimensions}
            ended = {name: outcome.get(name) for name in ("seconds", "reason")}
            rows.append({"number": trial.number, "state": trial.state.name, "value": trial.value, **params, **ended})
        table = pd.DataFrame(rows, dtype=object)  # keeps integers in columns with nulls
        return table.astype({"number": int, "value": float, "seconds": float})


def _open_study(storage: "RDBStorage", name: str, greater_is_better: bool, pruning: bool) -> "Study":
    """Create or resume the study. Trials of processes dead for a minute are failed."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize" if greater_is_better else "minimize",
        pruner=optuna.pruners.MedianPruner() if pruning else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    optuna.storages.fail_stale_trials(study)
    return study


def _points(space: SearchSpace, seed: int) -> list[ParameterLabels]:
    """Shuffle a grid, so that parts are spread evenly. The configured parameters come first."""
    grid = space.grid()
    shuffled = [grid[position] for position in np.random.default_rng(seed).permutation(len(grid))]
    configured = space.configured_labels()
    return shuffled if configured is None else [configured, *(point for point in shuffled if point != configured)]


def _stored_scores(trial: "FrozenTrial") -> ParameterScores:
    outcome = _outcome(trial)
    decision = outcome["decision"] and DecisionRule.from_json(outcome["decision"])
    return ParameterScores(tuple(outcome["scores"]), tuple(outcome["rounds"]), decision)


def _outcome(trial: "FrozenTrial") -> dict[str, Any]:
    return dict(trial.user_attrs[OUTCOME])
