"""Twelve months, trained one by one, decided upon in any order."""

import random
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.projects import copy_database, make_project, write_pipeline, write_rows
from support.promotion import enter, fitted

from waterflow import workflow
from waterflow.promotion import champion_alias
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.promotion import Decision
from waterflow.records.run import Window
from waterflow.resources import Resources
from waterflow.steps.promote import promote

MONTHS = range(12)
DEMAND = {
    "defaults": [{"/strategy": "balanced"}, {"/model@candidates": ["ridge"]}],
    "dataset": {"kind": "csv", "path": "data/demand.csv"},
    "target": "demand",
    "task": "regression",
    "time_column": "day",
    "metrics": {"main": "rmse"},
    "promotion": {"resamples": 200},
}


@dataclass(frozen=True)
class Year:
    """A home in which the candidates of twelve months were trained, and their records."""

    resources: Resources
    months: tuple[tuple[Prepared, Evaluated], ...]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> Year:
    """Train on demand that follows the weather more closely from July on; each window holds all days before its end."""
    project = make_project(tmp_path_factory.mktemp("year"))
    copy_database(project, tracking_template)
    numbers = np.random.default_rng(0)
    days = pd.date_range("2025-01-01", "2025-12-31").repeat(6)
    weather = numbers.normal(size=len(days))
    follows = np.where(days.month < 7, 1.0, 3.0)
    rows = pd.DataFrame({"day": days, "weather": weather, "demand": follows * weather + numbers.normal(size=len(days))})
    write_rows(project, rows, "demand.csv")
    write_pipeline(project, "demand", DEMAND)
    resources = workflow.open_resources(project)
    return Year(resources, tuple(trained(resources, month) for month in MONTHS))


def trained(resources: Resources, month: int) -> tuple[Prepared, Evaluated]:
    """Train on the window that ends with a month; the verdict is left to the step promote."""
    end = datetime(2025 + (month + 1) // 12, (month + 1) % 12 + 1, 1, tzinfo=UTC)
    return fitted("demand", resources, f"month_{month + 1:02}", window=Window(end=end))


def decided(year: Year, order: list[int], folder: Path) -> tuple[Resources, list[Decision]]:
    """Register and promote the months in this order, on a registry and a ledger of their own."""
    shutil.copy(year.resources.project.home / "mlflow.db", folder / "mlflow.db")
    overrides = [f"profile.tracking_uri=sqlite:///{folder}/mlflow.db", f"profile.database_uri=sqlite:///{folder}/w.db"]
    resources = workflow.open_resources(year.resources.project, overrides)
    for month in order:
        prepared, evaluated = year.months[month]
        promote(prepared, enter(prepared, evaluated, resources), resources)
    return resources, resources.ledger.entries("demand")


@pytest.fixture(scope="module")
def in_order(year: Year, tmp_path_factory: pytest.TempPathFactory) -> str | None:
    """Return the month that is champion when the months come in order."""
    _, rows = decided(year, list(MONTHS), tmp_path_factory.mktemp("in_order"))
    promotions = [row for row in rows if row.kind == "promote"]
    assert 2 <= len(promotions) < 12, "the year should have months that gain and months that do not"
    return promotions[-1].dag_run_id


@pytest.mark.parametrize("seed", [None, 1], ids=["backwards", "shuffled"])
def test_a_backfill_ends_with_a_champion_that_the_ledger_explains(
    year: Year, in_order: str | None, tmp_path: Path, seed: int | None
) -> None:
    """It is the one of the months in order, or the row of that month says why not; no older window ever wins."""
    order = list(reversed(MONTHS)) if seed is None else random.Random(seed).sample(MONTHS, 12)  # noqa: S311
    resources, rows = decided(year, order, tmp_path)
    assert champion_alias.verify("demand", resources) == []
    assert sorted(str(row.dag_run_id) for row in rows) == [f"month_{month + 1:02}" for month in MONTHS]
    promotions = [row for row in rows if row.kind == "promote"]
    ends = [row.window.end for row in promotions if row.window and row.window.end]
    assert len(ends) == len(promotions) > 0
    assert ends == sorted(ends)
    if promotions[-1].dag_run_id != in_order:
        row = next(row for row in rows if row.dag_run_id == in_order)
        assert row.kind == "hold"
        assert "older window" in row.reason or (row.verdict is not None and row.verdict.reason in row.reason)
    last = next(row for row in rows if row.dag_run_id == "month_12")
    assert "older window" not in last.reason
