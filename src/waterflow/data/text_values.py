"""The types of values written as text, as in CSV.

A column has one type, decided on all of its values: by the contract or `dtype`, else the first of integer, number,
boolean and time that all values fit, else text. Digits after a zero stay text.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from waterflow.config.schema import CsvSection
from waterflow.data.number_formats import (
    PLAIN,
    ZERO_BEFORE,
    Convention,
    as_integers_or_floats,
    choose_decimal,
    conventions_of,
)
from waterflow.data.reading_rules import ReadingRules
from waterflow.data.time_formats import AmbiguousTimesError, find_format, find_other_than, parse_time_texts
from waterflow.errors import DataError

# What pandas takes for null. Beside text these are words like others, such as the country code NA.
NULL_WORDS = (
    "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "<NA>", "#N/A", "#NA", "#N/A N/A",
    "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
)  # fmt: skip
TRUE, FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
NUMERIC = (None, "integer", "number")


@dataclass(frozen=True)
class TextColumn:
    """A column of texts. Blanks around them do not count, and some words are null."""

    name: str
    texts: pa.ChunkedArray
    null_words: tuple[str, ...]

    @cached_property
    def written(self) -> pa.Array:
        """The distinct texts of the file. Words for null are among them."""
        return pc.unique(self.texts).drop_null()

    @cached_property
    def distinct(self) -> pa.Array:
        """The distinct values that are not null."""
        trimmed = pc.unique(pc.utf8_trim_whitespace(self.written))
        return trimmed.filter(pc.invert(pc.is_in(trimmed, value_set=self._nulls)))

    @cached_property
    def values(self) -> pa.ChunkedArray:
        """All values, with nulls. Where nothing has to be changed, these are the texts themselves."""
        if pc.all(pc.is_in(self.written, value_set=self.distinct)).as_py():
            return self.texts
        trimmed = pc.utf8_trim_whitespace(self.texts)
        return pc.if_else(pc.is_in(trimmed, value_set=self._nulls), pa.scalar(None, trimmed.type), trimmed)

    @property
    def _nulls(self) -> pa.Array:
        return pa.array(["", *self.null_words], self.texts.type)

    def matches(self, pattern: str) -> bool:
        """Return whether all values match, and there are some."""
        return len(self.distinct) > 0 and self.find_other_than(pattern) is None

    def find_other_than(self, pattern: str) -> str | None:
        """Return the first value that does not match."""
        return find_other_than(pattern, self.distinct)

    def fits(self, words: tuple[str, ...]) -> bool:
        """Return whether all values are among some words."""
        return bool(len(self.distinct)) and pc.all(pc.is_in(self.distinct, value_set=pa.array(words))).as_py()


def type_texts(
    columns: Mapping[str, pa.ChunkedArray], rules: ReadingRules, *, detect: Collection[str] = ()
) -> tuple[dict[str, pa.ChunkedArray], list[str]]:
    """Return text columns in their types, and notes.

    Columns of `detect` and those with a declared type are looked at. Raises DataError for numbers or times that can be
    read in two ways.
    """
    reader = _Typing(rules, detect)
    for name, texts in columns.items():
        reader.add(name, texts)
    reader.decide_decimal()
    return {name: reader.typed[name] for name in columns}, reader.notes


class _Typing:
    """The columns of one file, while their types are decided."""

    def __init__(self, rules: ReadingRules, detect: Collection[str]) -> None:
        self.rules, self.detect = rules, detect
        self.settings = rules.source if isinstance(rules.source, CsvSection) else CsvSection()
        self.conventions = conventions_of(self.settings.decimal, self.settings.thousands)
        self.typed: dict[str, pa.ChunkedArray] = {}
        self.notes: list[str] = []
        self.floats: list[TextColumn] = []  # read with a point, which may separate thousands
        self.pending: list[tuple[TextColumn, list[Convention]]] = []

    def add(self, name: str, texts: pa.ChunkedArray) -> None:
        """Type a column. That may have to wait for the decimal mark of the file."""
        declared = self.rules.type_of(name)
        null_words = () if self.settings.keep_default_na is False else NULL_WORDS
        column = TextColumn(name, texts, null_words)
        if declared == "text" or (declared is None and name not in self.detect):
            self.typed[name] = texts
            return
        has_numbers = declared in NUMERIC or (declared == "datetime" and self.rules.time_format(name) is None)
        if has_numbers and (numbers := as_integers_or_floats(texts)) is not None:
            self._set_numbers(column, numbers)
            return
        self.typed[name] = texts if len(column.distinct) else pa.chunked_array([pa.nulls(len(texts), texts.type)])
        if declared in NUMERIC and self._add_numbers(column):
            return
        if declared in (None, "boolean") and self._add_booleans(column, declared):
            return
        if declared in (None, "datetime") and self._add_times(column, declared):
            return
        self._note_text(column)

    def decide_decimal(self) -> None:
        """Parse the numbers that depend on the decimal mark. One file has one."""
        used = [entry for entry in self.pending if self.rules.uses(entry[0].name)]
        decimal = choose_decimal(
            used, [column for column in self.floats if self.rules.uses(column.name)], self.conventions
        )
        for column, fitting in self.pending:
            chosen = next((convention for convention in fitting if convention.decimal == decimal), None)
            is_certain = bool(used) or len({convention.decimal for convention in fitting}) == 1
            if chosen is not None and is_certain:  # an unused column is never refused
                self.typed[column.name] = chosen.parse(column.values)
                self.notes.append(f"{column.name!r} number with decimal {decimal!r}{chosen.describe_thousands(column)}")
        for column in self.floats if decimal == "," else ():
            fitting = [one for one in self.conventions if one.decimal == decimal and column.matches(one.pattern)]
            self.typed[column.name] = fitting[0].parse(column.values) if fitting else column.texts

    def _set_numbers(self, column: TextColumn, numbers: pa.ChunkedArray) -> None:
        self.typed[column.name] = numbers
        if pa.types.is_floating(numbers.type):
            self.floats.append(column)

    def _add_numbers(self, column: TextColumn) -> bool:
        if not len(column.distinct):
            return True
        if self._has_zeros_before(column):
            return False
        if column.matches(PLAIN.pattern) and PLAIN.is_regular(column.distinct):
            self._set_numbers(column, PLAIN.parse(column.values))
            if column.matches("%$"):
                self.notes.append(f"{column.name!r} percentages, as shares of 1")
            return True
        fitting = [one for one in self.conventions if column.matches(one.pattern) and one.is_regular(column.distinct)]
        if fitting:
            self.pending.append((column, fitting))
        return bool(fitting)

    def _has_zeros_before(self, column: TextColumn) -> bool:
        return bool(pc.any(pc.match_substring_regex(column.distinct, ZERO_BEFORE)).as_py())

    def _add_booleans(self, column: TextColumn, declared: str | None) -> bool:
        true, false = (*TRUE, *self.settings.true_values), (*FALSE, *self.settings.false_values)
        if declared == "boolean":
            true, false = (*true, "1"), (*false, "0")
        if not column.fits((*true, *false)):
            return False
        is_true = pc.is_in(column.values, value_set=pa.array(true, column.values.type))
        self.typed[column.name] = pc.if_else(pc.is_null(column.values), pa.scalar(None, pa.bool_()), is_true)
        return True

    def _add_times(self, column: TextColumn, declared: str | None) -> bool:
        """Parse times. Only a column that was declared to hold them is refused where it does not."""
        name, is_time_column = column.name, column.name == self.rules.time_column
        time_format, day_first = self.rules.time_format(name), self.rules.source.day_first
        found = time_format or find_format(column.distinct.to_pandas(), day_first)
        if found is None and declared is None:
            return False
        place = f"time_column: {name!r}" if is_time_column else f"column {name!r}"
        try:
            times = parse_time_texts(column.values.to_pandas(), place, time_format, day_first)
        except DataError as error:
            ambiguous = isinstance(error, AmbiguousTimesError) and self.rules.uses(name)
            if is_time_column or ambiguous or name in self.rules.dtype:
                raise
            return False  # the contract, if there is one, names the values
        self.typed[name] = pa.chunked_array([pa.array(times)])
        if found not in (None, "ISO8601"):
            self.notes.append(f"{name!r} times as {found}")
        return True

    def _note_text(self, column: TextColumn) -> None:
        """Note what could be taken for numbers or nulls."""
        if not (self.rules.uses(column.name) and column.name in self.detect):
            return
        numbers = pc.sum(pc.match_substring_regex(column.distinct, PLAIN.pattern)).as_py() or 0
        if numbers > len(column.distinct) / 2:
            other = column.find_other_than(PLAIN.pattern)
            reason = "numbers would lose zeros, digits or signs" if other is None else f"{other!r} is no number"
            self.notes.append(f"{column.name!r} text, for {reason}")
        nulls = pc.is_in(column.written, value_set=pa.array(column.null_words, column.texts.type))
        for word in column.written.filter(nulls).to_pylist():
            self.notes.append(f"{column.name!r} text with {word!r}, which `na_values: [{word}]` would make null")
