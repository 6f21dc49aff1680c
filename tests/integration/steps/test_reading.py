"""What prepare records of how a source was read."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from support.projects import message_of, request_of

from waterflow.data.canonical import read_parquet
from waterflow.datasets.loaders import iris
from waterflow.errors import ContractError
from waterflow.records.data import Prepared
from waterflow.resources import Resources
from waterflow.steps.prepare import prepare
from waterflow.stores.base import get_file, scratch_folder

Writer = Callable[..., str]


def stored_rows(prepared: Prepared, resources: Resources) -> pd.DataFrame:
    """Read the Parquet that the steps after `prepare` read."""
    with scratch_folder() as folder:
        return read_parquet(get_file(resources.store, prepared.data, folder / "data.parquet"))


def write_german(resources: Resources, **columns: Any) -> None:
    """Write the irises as a spreadsheet in German does."""
    frame = iris().assign(**columns)
    frame.to_csv(resources.project.root / "data" / "flowers.csv", sep=";", decimal=",", index=False)


def test_what_was_detected_is_shown_and_recorded(resources: Resources, pipeline: Writer) -> None:
    """On the run, where people look, and in the record that later steps read."""
    write_german(resources)
    prepared = prepare(request_of(pipeline()), resources)
    assert prepared.reading[0] == "encoding 'utf-8', separator ';'"
    assert "'sepal_width_cm' number with decimal ','" in prepared.reading
    tags = resources.runs.client.get_run(prepared.parent_run_id).data.tags
    assert tags["waterflow.source_reading"] == "; ".join(prepared.reading)
    assert stored_rows(prepared, resources)["sepal_width_cm"].dtype == "float64"


def test_the_contract_decides_how_text_is_read(resources: Resources, pipeline: Writer) -> None:
    """Postcodes keep their zeros, days are times, and what does not fit is named with the keys for it."""
    write_german(resources, zip="8003", day="31.12.2024")
    contract = {"columns": {"zip": {"type": "text", "pattern": "8003"}, "day": {"type": "datetime"}}}
    frame = stored_rows(prepare(request_of(pipeline(contract=contract)), resources), resources)
    assert frame["zip"].unique().tolist() == ["8003"]
    assert frame["day"].unique().tolist() == [datetime(2024, 12, 31)]
    wrong = {"columns": {"zip": {"type": "datetime"}}}
    message = message_of(
        lambda: prepare(request_of(pipeline(contract=wrong), run_id="run_2"), resources), ContractError
    )
    assert "say by dataset.dtype, time_format or time_unit how to read it" in message


def test_a_column_of_lists_is_no_obstacle_once_it_is_dropped(resources: Resources, pipeline: Writer) -> None:
    """It is not stored, and rows without a target are dropped and counted."""
    species = [None, *iris()["species"][1:]]
    table = pa.Table.from_pandas(iris().assign(species=species), preserve_index=False)
    table = table.append_column("tags", pa.array([["a"]] * 150))
    pq.write_table(table, resources.project.root / "data" / "flowers.parquet")
    source = {"kind": "parquet", "path": "data/flowers.parquet"}
    prepared = prepare(request_of(pipeline(dataset=source, drop=["tags"], target_nulls="drop")), resources)
    assert (prepared.rows, "tags" in stored_rows(prepared, resources)) == (149, False)
    assert "target_nulls dropped 1 row" in prepared.reading
