"""Numbers written as text. They may have decimal comma, thousands and percent signs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from waterflow.errors import DataError

if TYPE_CHECKING:
    from waterflow.data.text_values import TextColumn

DIGITS_OF_INT64 = 16  # a text of so many digits may not be exact as a float
LONG_DIGITS = r"^[-+]?\d{16,}$"
ZERO_BEFORE = r"^[-+]?0[0-9xX]"


@dataclass(frozen=True)
class Convention:
    """How numbers are written."""

    decimal: str
    thousands: str | None

    @property
    def pattern(self) -> str:
        """The regular expression of a number. A percent sign may follow it."""
        point, group = re.escape(self.decimal), re.escape(self.thousands or "")
        whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{group}\d{{3}})+)" if self.thousands else r"\d+"
        return rf"^[-+]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][-+]?\d+)?\s?%?$"

    def is_regular(self, distinct: pa.Array) -> bool:
        """Return whether texts are alike and keep their digits. All are percentages, or none."""
        shares = pc.sum(pc.ends_with(distinct, "%")).as_py() or 0
        has_long_digits = pc.any(pc.match_substring_regex(distinct, LONG_DIGITS)).as_py()
        return shares in (0, len(distinct)) and (not has_long_digits or as_integers_or_floats(distinct) is not None)

    def parse(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """Parse texts that all match. A percentage is its share of 1."""
        plain = pc.replace_substring(texts, self.thousands, "") if self.thousands else texts
        plain = pc.replace_substring(plain, self.decimal, ".")
        if pc.any(pc.ends_with(plain, "%")).as_py():
            return pc.divide(pc.utf8_rtrim(plain, characters="% ").cast(pa.float64()), 100.0)
        plain = pc.utf8_ltrim(plain, characters="+")
        numbers = as_integers_or_floats(plain)
        return plain.cast(pa.float64()) if numbers is None else numbers

    def describe_thousands(self, column: "TextColumn") -> str:
        """Return the mark of thousands that occurs, for a note."""
        if self.thousands is None or not pc.any(pc.match_substring(column.distinct, self.thousands)).as_py():
            return ""
        return f", thousands {self.thousands!r}"


PLAIN = Convention(".", None)


def conventions_of(decimal: str | None, thousands: str | None) -> tuple[Convention, ...]:
    """Return how numbers may be written, given what is stated. The simpler convention comes first."""
    decimals = [decimal] if decimal else [mark for mark in ".," if mark != thousands]
    return tuple(
        Convention(mark, group)
        for mark in decimals
        for group in ([thousands] if thousands else [None, "," if mark == "." else "."])
    )


def as_integers_or_floats(texts: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | None:
    """Parse texts that are plain numbers.

    Returns None where one is not, has zeros before it, or has more digits than a number keeps.
    """
    if not _starts_with_number(texts):
        return None
    for kind in (pa.int64(), pa.float64()):
        try:
            numbers = texts.cast(kind)
        except pa.ArrowInvalid:
            continue
        loses = _any(texts, pc.or_(pc.starts_with(texts, "0"), pc.starts_with(texts, "-0")), ZERO_BEFORE)
        if kind == pa.float64():
            loses = loses or _any(texts, pc.greater_equal(pc.binary_length(texts), DIGITS_OF_INT64), LONG_DIGITS)
        return None if loses or numbers.null_count == len(numbers) else numbers
    return None


def choose_decimal(
    pending: Sequence[tuple["TextColumn", list[Convention]]],
    floats: Sequence["TextColumn"],
    conventions: Sequence[Convention],
) -> str:
    """Return the decimal mark of a file.

    `pending` are columns with their fitting conventions, `floats` those that are numbers with a point. Raises DataError
    where both marks fit everything, or no mark does.
    """
    possible = list(dict.fromkeys(convention.decimal for convention in conventions))
    evidence: TextColumn | None = None
    for column, fitting in pending:
        own = {convention.decimal for convention in fitting}
        if not own.intersection(possible):
            raise _mixed(column, evidence or column)
        if not own.issuperset(possible):
            possible, evidence = [mark for mark in possible if mark in own], column
    if pending and "," in possible:
        with_comma = [convention for convention in conventions if convention.decimal == ","]
        with_point = [column for column in floats if not any(column.matches(one.pattern) for one in with_comma)]
        if with_point and possible == [","] and len({one.decimal for one in conventions}) > 1:
            raise _mixed(evidence or pending[0][0], with_point[0])
        possible = ["."] if with_point and "." in possible else possible
    if pending and len(possible) > 1:
        raise _ambiguous(*pending[0])
    return possible[0]


def _starts_with_number(texts: pa.ChunkedArray | pa.Array) -> bool:
    """Return whether the first text is a number. That spares a look at all others."""
    first = next((text.as_py() for text in texts if text.is_valid), "")
    try:
        float(first)
    except ValueError:
        return False
    return True


def _any(texts: pa.ChunkedArray, likely: pa.ChunkedArray, pattern: str) -> bool:
    """Return whether a text matches. Only the likely ones are compared, which is much faster."""
    return bool(pc.any(pc.match_substring_regex(texts.filter(likely), pattern)).as_py())


def _ambiguous(column: "TextColumn", fitting: list[Convention]) -> DataError:
    text = column.find_other_than(r"^\d*$")
    return DataError(
        f"column {column.name!r}: {text!r} is {' or '.join(_readings(str(text), fitting))} in dataset, and no value "
        "decides it; state one"
    )


def _readings(text: str, fitting: list[Convention]) -> Iterator[str]:
    for decimal in dict.fromkeys(convention.decimal for convention in fitting):
        convention = next(one for one in fitting if one.decimal == decimal)
        number = convention.parse(pa.chunked_array([[text]]))[0].as_py()
        key = f'decimal: "{decimal}"' if decimal in text else f'thousands: "{convention.thousands}"'
        yield f"{number:g} with `{key}`"


def _mixed(first: "TextColumn", second: "TextColumn") -> DataError:
    texts = [column.find_other_than(r"^\d*$") for column in (first, second)]
    return DataError(
        f"columns {first.name!r} and {second.name!r} differ in their decimal mark ({texts[0]!r}, {texts[1]!r}); state "
        f"`decimal` in dataset, or `dtype: {{{first.name}: text}}`"
    )
