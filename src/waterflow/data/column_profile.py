"""What columns hold, and their questionable traits as features."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from waterflow.config.schema import ContractType
from waterflow.data.block_columns import FEW_CATEGORIES, NEAR_UNIQUE
from waterflow.data.columns import to_floats
from waterflow.data.contract_inference import kind_of, write_yaml
from waterflow.data.time_formats import find_format

ID_NAME = re.compile(
    r"(?i:(?:^|[\W_])(?:id|uuid|guid|key|nr|no|pk|index|rownum|row|rank)$|^(?:id|nr|no)[\W_])|[a-z]I[dD]$"
)
WORDS_OF_FREE_TEXT = 3.0
MOST_EXAMPLES = 5
NUMBERS_AS_TEXT = 0.5  # of the distinct texts; fewer numbers among words are words


@dataclass(frozen=True)
class ColumnProfile:
    """What one column holds.

    `kind` is its type in a contract, None without any value. `common` are the most frequent values with their number
    of rows. `words` is the mean number of words of a text; `numbers` the share of its distinct texts that are numbers,
    of which `not_a_number` is an exception. `is_sequence` says that integers number the rows, `are_times` that all
    texts are times.
    """

    name: str
    kind: ContractType | None
    rows: int
    nulls: int
    distinct: int
    common: tuple[tuple[Any, int], ...]
    low: Any = None
    high: Any = None
    words: float = 0.0
    numbers: float = 0.0
    not_a_number: str = ""
    is_sequence: bool = False
    are_times: bool = False

    @property
    def is_constant(self) -> bool:
        """Whether all rows have the same value, or none."""
        return self.distinct == 0 or (self.distinct == 1 and self.nulls == 0)

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.nulls == 0 and self.distinct == self.rows and self.rows > 1

    @property
    def is_near_unique(self) -> bool:
        """Whether it is text that identifies rows."""
        return self.kind == "text" and self.distinct > max(FEW_CATEGORIES, NEAR_UNIQUE * (self.rows - self.nulls))

    @property
    def is_free_text(self) -> bool:
        """Whether it is text whose words may say something."""
        return self.is_near_unique and not self.are_times and self.words >= WORDS_OF_FREE_TEXT

    @property
    def has_id_name(self) -> bool:
        """Whether it is called like an identifier."""
        return ID_NAME.search(self.name) is not None

    @property
    def is_identifier(self) -> bool:
        """Whether it names rows or things. Unseen ones have others."""
        if self.kind not in ("integer", "text") or self.is_free_text:
            return False
        return self.has_id_name or self.is_sequence or self.is_near_unique


def profile_columns(frame: pd.DataFrame) -> dict[str, ColumnProfile]:
    """Return the profile of each column, by name."""
    return {str(name): _profile(frame[name]) for name in frame.columns}


def describe_concerns(column: ColumnProfile) -> Iterator[str]:
    """Yield what is questionable about a column as a feature. Each is a clause after its name."""
    if column.distinct == 0:
        yield "is empty"
    elif column.is_constant:
        yield f"is constant: {column.common[0][0]!r} in every row"
    elif column.are_times:
        yield f"holds times as text; `dtype: {{{write_yaml(column.name)}: datetime}}` in dataset reads them as times"
    elif column.is_free_text:
        yield f"is free text ({column.distinct:,} different in {column.rows:,} rows): useful as TF-IDF only"
    elif column.is_identifier:
        yield f"looks like an identifier ({column.distinct:,} values in {column.rows:,} rows)"
    elif column.is_unique and column.kind == "integer":
        yield f"is unique in these {column.rows:,} rows, perhaps by accident: no key unless you know so"
    if column.kind == "text" and column.numbers > NUMBERS_AS_TEXT and not column.is_identifier:
        if column.not_a_number:
            yield (
                f"holds numbers as text, but {column.not_a_number!r} is none; `na_values: [{column.not_a_number}]` in "
                "dataset would make it null"
            )
        else:
            yield "holds numbers as text (zeros before them, or too many digits); state its dtype if they are numbers"
    if column.kind is not None and column.nulls > column.rows / 2:
        yield f"is null in {column.nulls / column.rows:.0%} of the rows"


def summarise_values(column: ColumnProfile) -> str:
    """Return a column's values in a few words."""
    if column.distinct == 0:
        return "no values"
    if column.kind in ("integer", "number") and column.distinct > MOST_EXAMPLES:
        return f"{_format_number(column.low)} to {_format_number(column.high)}"
    if column.kind == "datetime":
        return f"{column.low:%Y-%m-%d} to {column.high:%Y-%m-%d}"
    shown = [_short(value) for value, _ in column.common]
    return ", ".join(shown) + (", …" if column.distinct > len(shown) else "")


def _profile(column: pd.Series) -> ColumnProfile:
    values = column.dropna()
    kind = kind_of(values)
    counts = values.value_counts()
    own: dict[str, Any] = {}
    if kind in ("integer", "number"):
        numbers = to_floats(values)
        if kind == "integer":  # floats do not hold every digit of large ones
            own = {"low": int(values.min()), "high": int(values.max())}
        else:
            own = {"low": float(numbers.min()), "high": float(numbers.max())}
        is_sequence = kind == "integer" and values.is_unique and own["high"] - own["low"] == len(values) - 1
        own["is_sequence"] = is_sequence and len(values) == len(column) > 2
    elif kind == "datetime":
        own = {"low": values.min(), "high": values.max()}
    elif kind == "text":
        own = _profile_texts(counts.index.tolist())
    return ColumnProfile(
        name=str(column.name),
        kind=kind,
        rows=len(column),
        nulls=int(column.isna().sum()),
        distinct=len(counts),
        common=tuple((value, int(count)) for value, count in counts.head(MOST_EXAMPLES).items()),
        **own,
    )


def _profile_texts(distinct: Sequence[Any]) -> dict[str, Any]:
    texts = pd.Series([str(text) for text in distinct], dtype="str")
    are_numbers = pd.to_numeric(texts, errors="coerce").notna()
    others = texts[~are_numbers]
    return {
        "words": float(np.mean([len(text.split()) for text in texts])),
        "numbers": float(are_numbers.mean()),
        "not_a_number": str(others.iloc[0]) if len(others) else "",
        "are_times": find_format(texts, None) is not None,
    }


def _format_number(number: float) -> str:
    is_whole = isinstance(number, int) or (number.is_integer() and abs(number) < 2**53)
    return str(int(number)) if is_whole else f"{number:g}"


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 24 else f"{text[:23]}…"
