"""Looking for a candidate's parameters with Optuna, in a study that outlives its process.

The study's name is the training's action key: a try that follows a dead one goes on where that ended, and several
workers on one database share the trials. The first trial has the parameters of the YAML, so that tuning never ends
below them.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from waterflow.config.estimators import build_estimator
from waterflow.config.metrics import METRICS
from waterflow.config.schema import PipelineConfig
from waterflow.errors import FitError
from waterflow.training.cross_validation import Attempt, judge
from waterflow.training.fitting import Division, quiet
from waterflow.training.parallelism import is_single_threaded, limited_threads, useful_threads
from waterflow.training.tuning.search_space import Labels, Space
from waterflow.training.tuning.study_storage import beating, open_storage

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, TrialState

DEFAULT_TRIALS = 20
# Attributes of a trial: whether it has the parameters of the YAML, and what came out of it.
USUAL, OUTCOME = "usual", "outcome"


@dataclass(frozen=True)
class Tuned:
    """The best parameters, what they scored, and every trial.

    `trials` has a row per trial: number, state, value (the mean of the main metric), a column per parameter,
    seconds, and the reason of a failure. `study` holds the trials that came to an end, without the database. `note`
    says why fewer trials were made than were asked for.
    """

    params: dict[str, Any]
    attempt: Attempt
    trials: pd.DataFrame
    study: "Study"
    note: str | None


def tune_candidate(
    config: PipelineConfig,
    candidate: str,
    divisions: Sequence[Division],
    *,
    database_uri: str,
    study_name: str,
    threads: int = 1,
) -> Tuned:
    """Try parameters on the divisions until the trials or the time are used up, and give the best.

    An estimator with threads of its own gets them all, trial after trial; of any other, `threads` trials run beside
    one another. Seed, rows and `threads` decide the outcome. Raises FitError when every trial failed, StoreError or
    UnreachableError when the database cannot be used.
    """
    threads = useful_threads(threads, len(divisions[0].learnt_target))
    with quiet(), limited_threads(threads), open_storage(database_uri) as storage:
        search = _Search(config, candidate, divisions, storage, study_name, threads)
        while (wanted := search.count_next()) > 0:
            batch = [search.ask() for _ in range(wanted)]
            with beating(storage, batch), search.failing(batch):
                search.run(batch)
        return search.result()


class _Search:
    """One process's part in a study."""

    def __init__(
        self,
        config: PipelineConfig,
        candidate: str,
        divisions: Sequence[Division],
        storage: "RDBStorage",
        study_name: str,
        threads: int,
    ) -> None:
        estimator = build_estimator(config.candidates[candidate], config.seed, f"candidates.{candidate}")
        search = config.search_of(candidate)
        assert search is not None
        self.config, self.candidate, self.divisions, self.search = config, candidate, divisions, search
        self.greater_is_better = METRICS[config.metrics.main].greater_is_better
        self.space = Space(search.space, estimator.get_params())
        self.points = _points(self.space, config.seed) if search.method == "grid" else None
        self.asked = self._count_asked()
        self.workers = threads if is_single_threaded(estimator) else 1
        self.threads = threads // self.workers
        self.study = _open_study(storage, study_name, self.greater_is_better, search.pruning)
        self.spent_before = sum(_outcome(trial)["seconds"] for trial in self.taken()) / self.workers
        self.started = time.perf_counter()
        self.is_usual_begun = False
        self.best: tuple[int, Attempt] | None = None

    def taken(self) -> list["FrozenTrial"]:
        """List the trials that came to an end; one whose process died did not, and does not count."""
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state.is_finished() and OUTCOME in trial.user_attrs]

    def count_next(self) -> int:
        """Say how many trials to make next; the first is made however short the time."""
        done = len(self.taken())
        return 0 if done and self._is_time_up() else min(self.workers, self.asked - done)

    def ask(self) -> "Trial":
        """Begin a trial: the usual parameters first, then points of the grid, or what TPE proposes."""
        from optuna.samplers import TPESampler

        # One stream of random numbers would begin anew, and repeat itself, in a process that goes on with the study.
        number = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = TPESampler(
            seed=int(np.random.SeedSequence([self.config.seed, number]).generate_state(1)[0])
        )
        if not self.is_usual_begun and not any(trial.user_attrs.get(USUAL) for trial in self.taken()):
            return self._ask_usual()
        if self.points is not None:
            self.study.enqueue_trial(self._next_point(self.points))
        return self.study.ask(self.space.distributions())

    def run(self, batch: Sequence["Trial"]) -> None:
        """Make trials beside one another, and tell their outcomes in order, so that chance has no part in it."""
        with ThreadPoolExecutor(self.workers) as pool:
            outcomes = list(pool.map(self._attempt, batch) if len(batch) > 1 else map(self._attempt, batch))
        for trial, (state, attempt) in zip(batch, outcomes, strict=True):
            value = None if attempt is None else self._value(attempt)
            self.study.tell(trial, value, state=state, skip_if_finished=True)
            if attempt is not None and (self.best is None or self._beats(attempt, self.best[1])):
                self.best = (trial.number, attempt)

    @contextmanager
    def failing(self, batch: Sequence["Trial"]) -> Iterator[None]:
        """Fail the trials that an interruption cuts short; they do not count."""
        from optuna.trial import TrialState

        try:
            yield
        except BaseException:
            for trial in batch:
                self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            raise

    def result(self) -> Tuned:
        """Give the best trial of all processes, the earliest of equals; raises FitError when there is none."""
        from optuna.trial import TrialState

        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            raise FitError(_outcome(self.taken()[0])["reason"])
        sign = -1 if self.greater_is_better else 1
        best = min(complete, key=lambda trial: (sign * float(trial.value or 0), trial.number))
        own = self.best[1] if self.best is not None and self.best[0] == best.number else None
        return Tuned(
            params=self.space.params_of(best.params),
            attempt=own or Attempt(tuple(_outcome(best)["scores"]), tuple(_outcome(best)["rounds"])),
            trials=self._table(),
            study=self._detached(),
            note=self._note(),
        )

    def _ask_usual(self) -> "Trial":
        self.is_usual_begun = True
        labels = self.space.usual_labels()
        if labels is not None:
            self.study.enqueue_trial(labels, user_attrs={USUAL: True})
            return self.study.ask(self.space.distributions())
        trial = self.study.ask()  # outside the space, so that TPE learns nothing from it
        trial.set_user_attr(USUAL, True)
        return trial

    def _count_asked(self) -> int:
        if self.points is None:
            return self.search.trials or DEFAULT_TRIALS
        total = len(self.points) + (self.space.usual_labels() is None)
        return min(self.search.trials or total, total)

    def _next_point(self, points: Sequence[Labels]) -> Labels:
        done = [trial.params for trial in self.taken()]
        begun = [trial.params for trial in self.study.get_trials(deepcopy=False) if not trial.state.is_finished()]
        left = [point for point in points if point not in done] or list(points)
        return next((point for point in left if point not in begun), left[0])

    def _attempt(self, trial: "Trial") -> tuple["TrialState", Attempt | None]:
        from optuna import TrialPruned
        from optuna.trial import TrialState

        def report(number: int, mean: float) -> None:
            if len(self.divisions) > 1:
                trial.report(mean, number)
                if number < len(self.divisions) and trial.should_prune():
                    raise TrialPruned

        started, state, attempt = time.perf_counter(), TrialState.COMPLETE, None
        outcome: dict[str, Any] = {}
        try:
            params = self.space.params_of(trial.params)
            attempt = judge(self.config, self.candidate, self.divisions, params, threads=self.threads, report=report)
            outcome = {"scores": attempt.scores, "rounds": attempt.rounds}
        except TrialPruned:
            state = TrialState.PRUNED
        except FitError as error:
            state, outcome = TrialState.FAIL, {"reason": str(error)}
        trial.set_user_attr(OUTCOME, {"seconds": time.perf_counter() - started, **outcome})
        return state, attempt

    def _value(self, attempt: Attempt) -> float:
        return attempt.means[self.config.metrics.main]

    def _beats(self, attempt: Attempt, other: Attempt) -> bool:
        return METRICS[self.config.metrics.main].better(self._value(attempt), self._value(other))

    def _is_time_up(self) -> bool:
        budget = self.search.time_budget_seconds
        return budget is not None and self.spent_before + time.perf_counter() - self.started >= budget

    def _note(self) -> str | None:
        done = len(self.taken())
        if done < self.asked:
            return f"the time budget of {self.search.time_budget_seconds} s ended after {done} of {self.asked} trials"
        if self.points is not None and self.asked < len(self.points):
            return f"{self.asked} of {len(self.points)} points of the grid were tried"
        return None

    def _detached(self) -> "Study":
        import optuna

        study = optuna.create_study(direction=self.study.direction)
        study.add_trials(self.taken())
        return study

    def _table(self) -> pd.DataFrame:
        rows = []
        for trial in self.study.get_trials(deepcopy=False):
            outcome = trial.user_attrs.get(OUTCOME, {})
            rows.append(
                {
                    "number": trial.number,
                    "state": trial.state.name,
                    "value": trial.value,
                    **{name: trial.params.get(name) for name in self.space.dimensions},
                    "seconds": outcome.get("seconds"),
                    "reason": outcome.get("reason"),
                }
            )
        table = pd.DataFrame(rows, dtype=object)  # a whole number beside a null stays one
        return table.astype({"number": int, "value": float, "seconds": float})


def _open_study(storage: "RDBStorage", name: str, greater_is_better: bool, pruning: bool) -> "Study":
    """Make the study, or go on with it; trials of processes that are dead for a minute are failed."""
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


def _points(space: Space, seed: int) -> list[Labels]:
    """Order a grid by chance, so that a part of it is spread evenly; the usual parameters come first."""
    grid = space.grid()
    shuffled = [grid[position] for position in np.random.default_rng(seed).permutation(len(grid))]
    usual = space.usual_labels()
    return shuffled if usual is None else [usual, *(point for point in shuffled if point != usual)]


def _outcome(trial: "FrozenTrial") -> dict[str, Any]:
    return dict(trial.user_attrs[OUTCOME])
