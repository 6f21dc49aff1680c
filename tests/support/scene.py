"""A pipeline on simulated rows, with planted models, for tests of the verdict."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from support.planted import Replay, log_model, make_champion, plant
from support.projects import candidates, request_of, write_pipeline, write_rows
from waterflow import workflow
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Verdict
from waterflow.records.training import Trained
from waterflow.resources import Resources
from waterflow.steps.evaluate import evaluate

ROWS = 400


class Scene:
    """A pipeline on simulated rows, its runs and planted models."""

    def __init__(self, resources: Resources, folder: Path, name: str) -> None:
        self.resources, self.folder, self.name = resources, folder, name
        generator = np.random.default_rng(3)
        self.rows = pd.DataFrame(
            {
                "row": np.arange(ROWS),
                "target": generator.integers(0, 2, ROWS),
                "region": np.where(np.arange(ROWS) % 4 == 0, "north", "south"),
            }
        )
        self.write()

    def write(self, rows: pd.DataFrame | None = None, **changes: Any) -> None:
        """Write the rows and the YAML."""
        write_rows(self.resources.project, self.rows if rows is None else rows, f"{self.name}.csv")
        settings = {
            "dataset": {"kind": "csv", "path": f"data/{self.name}.csv"},
            "target": "target",
            "split": {"kind": "hash", "test_fraction": 0.5},
            "features": ["row"],
            "key": ["row"],
            "metrics": {"main": "accuracy"},
            "gate": None,
            **candidates(nb="sklearn.naive_bayes.GaussianNB"),
        }
        write_pipeline(self.resources.project, self.name, **{**settings, **changes})

    def prepare(self, run_id: str, **changes: Any) -> Prepared:
        """Prepare a run."""
        return workflow.prepare(request_of(self.name, run_id, **changes), self.resources)

    def plant(self, prepared: Prepared, wrong: float, seed: int = 0, name: str = "nb") -> Trained:
        """Log a model that is wrong on this share of the rows."""
        generator = np.random.default_rng(seed)
        truth = self.rows["target"].to_numpy()
        calls = np.where(generator.random(len(truth)) < wrong, 1 - truth, truth)
        path = plant(self.folder / f"{prepared.origin.run_id}_{name}_{seed}.npy", calls)
        return log_model(Replay(path, (0, 1)), prepared, self.resources, self.rows[["row"]].head(2), name)

    def crown(self, run_id: str, wrong: float, **tags: str) -> tuple[Prepared, Trained]:
        """Prepare a run and make a model of it the champion."""
        prepared = self.prepare(run_id)
        model = self.plant(prepared, wrong, seed=1)
        make_champion(model, prepared, self.resources, **tags)
        return prepared, model

    def evaluate(self, prepared: Prepared, wrong: float, seed: int = 2) -> Verdict:
        """Send a planted winner through `evaluate`."""
        verdict = evaluate(prepared, [self.plant(prepared, wrong, seed)], self.resources).verdict
        assert verdict is not None
        return verdict
