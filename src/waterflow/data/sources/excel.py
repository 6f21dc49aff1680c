"""A sheet of an Excel workbook."""

import warnings
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pyarrow as pa

from waterflow.config.schema import ExcelSource
from waterflow.data.column_types import array_of
from waterflow.errors import DataError

ERRORS = {"#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"}


def read_excel(path: Path, source: ExcelSource, name: str) -> tuple[pa.Table, dict[str, str], tuple[str, ...]]:
    """Return the rows of a sheet, the settings and notes. Cells with an error of Excel are null.

    Raises DataError when the sheet is unknown or one of several is not named, and for a bad header.
    """
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions
            book = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError) as error:
        raise DataError(
            f"dataset.path: {name!r} is no Excel workbook (.xlsx); save it as one, or change kind"
        ) from error
    try:
        sheet = book[_choose_sheet(book.sheetnames, source, name)]
        rows = [
            row for row in sheet.iter_rows(min_row=source.skip_rows + 1, values_only=True) if any(map(_is_cell, row))
        ]
    finally:
        book.close()
    if not rows:
        raise DataError(f"dataset.path: sheet {sheet.title!r} of {name!r} is empty; fill it or name another")
    return _table_of(rows, name), {"sheet": sheet.title}, ()


def _choose_sheet(sheets: list[str], source: ExcelSource, name: str) -> str:
    if source.sheet is None and len(sheets) == 1:
        return sheets[0]
    if source.sheet not in sheets:
        found = "several sheets" if source.sheet is None else f"no sheet {source.sheet!r}"
        raise DataError(f"dataset.sheet: {name!r} has {found}; valid: {', '.join(sheets)}")
    return source.sheet


def _table_of(rows: list[tuple[Any, ...]], name: str) -> pa.Table:
    names = [str(value).strip() if _is_cell(value) else "" for value in rows[0]]
    columns = {}
    for position, entry in enumerate(names):
        values = [_value(row[position]) if position < len(row) else None for row in rows[1:]]
        if entry and entry not in columns:
            columns[entry] = array_of(values)
        elif entry:
            raise DataError(f"dataset.path: the header of {name!r} names {entry!r} twice; rename one")
        elif any(value is not None for value in values):
            raise DataError(f"dataset.path: column {position + 1} of {name!r} has no name; name it in the header")
    return pa.table(columns)


def _is_cell(value: Any) -> bool:
    return value is not None and value != ""


def _value(value: Any) -> Any:
    return None if value == "" or (isinstance(value, str) and value in ERRORS) else value
