"""CSV files as tables of text. Encoding, separator and header are detected."""

import bz2
import codecs
import csv
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from waterflow.config.schema import CsvSection
from waterflow.data.text_values import NULL_WORDS
from waterflow.errors import DataError
from waterflow.plurals import counted

SEPARATORS = (",", ";", "\t", "|")
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
LIKELY_ENCODINGS = ("cp1252", "cp1250", "mac_roman", "cp850")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
CHUNK_BYTES = 1 << 18
BLOCK_BYTES = 1 << 22  # a row must fit into one


class CsvTexts(NamedTuple):
    """The columns of a file as text. Also what was detected."""

    table: pa.Table
    settings: dict[str, str]
    notes: tuple[str, ...]


class Layout(NamedTuple):
    """How a file is written. `first_row` is the number of lines above its rows."""

    encoding: str
    separator: str
    header: list[str]
    first_row: int
    has_quotes: bool


class OtherWidth(NamedTuple):
    """A line with more or fewer fields than the header."""

    line: int
    fields: int
    text: str


def read_csv_texts(path: Path, source: CsvSection, name: str) -> CsvTexts:
    """Read all columns of a CSV file as text.

    Empty fields and stated null words are null. Compressed files are recognised by their ending. Raises DataError when
    the file is no text, when encoding or separator are ambiguous, for rows of another width, a quote that is never
    closed, and a header with a name twice.
    """
    layout = find_layout(path, source, name)
    table, wrong = _parse(path, source, layout, len(layout.header))
    if wrong is not None:
        raise wrong_width(wrong, layout, name)
    check_quotes(table, layout, name)
    table, notes = name_columns(table, layout.header, name)
    return CsvTexts(table, {"encoding": layout.encoding, "separator": layout.separator}, notes)


def find_layout(path: Path, source: CsvSection, name: str) -> Layout:
    """Find out how a file is written. Raises DataError where that is ambiguous."""
    encoding, has_quotes = _find_encoding(path, source, name)
    marks = [source.separator] if source.separator else list(SEPARATORS)
    headers = {mark: _read_header(path, source, encoding, mark) for mark in marks}
    fitting = [mark for mark, (header, _) in headers.items() if len(header) > 1] or marks[:1]
    if len(fitting) > 1:
        layouts = {mark: Layout(encoding, mark, *headers[mark], has_quotes) for mark in fitting}
        parsed = {mark: _parse(path, source, layout, len(layout.header)) for mark, layout in layouts.items()}
        fitting = [mark for mark, (_, wrong) in parsed.items() if wrong is None] or fitting[:1]
    if len(fitting) > 1:
        shown = " or ".join(
            f"{counted(len(headers[mark][0]), 'column')} with `separator: {mark!r}`" for mark in fitting
        )
        raise DataError(f"dataset.separator: {name!r} has {shown}; state which in dataset")
    header, first_row = headers[fitting[0]]
    if source.separator and len(header) == 1:
        _check_separator(header[0], source.separator, name)
    return Layout(encoding, fitting[0], [*(source.names or header)], first_row if source.header else 0, has_quotes)


def _check_separator(header: str, separator: str, name: str) -> None:
    others = [mark for mark in SEPARATORS if mark != separator and mark in header]
    if others:
        raise DataError(
            f"dataset.separator: with {separator!r} {name!r} has one column, {header!r}; is it {others[0]!r}?"
        )


def _find_encoding(path: Path, source: CsvSection, name: str) -> tuple[str, bool]:
    """Return the encoding, and whether there are quotes. It is stated, UTF-8, or that of a byte order mark."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    quote = source.quote.encode() if source.quote.isascii() else b'"'
    with open_bytes(path, source) as file:
        chunk = file.read(CHUNK_BYTES)
        encoding = source.encoding or _marked_encoding(chunk, name)
        has_quotes = False
        try:
            while chunk:
                has_quotes = has_quotes or (bool(quote) and quote in chunk)
                if encoding == "utf-8":
                    decoder.decode(chunk)
                chunk = file.read(CHUNK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise _not_utf8(error, name) from error
    return encoding, has_quotes


def _marked_encoding(start: bytes, name: str) -> str:
    encoding = next((known for mark, known in BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)
    if encoding is None and b"\0" in start[:4096]:
        raise DataError(
            f"dataset.path: {name!r} is no CSV (it holds zero bytes); fix the file, change kind, or state "
            "dataset.encoding, such as utf-16"
        )
    return encoding or "utf-8"


def _not_utf8(error: UnicodeDecodeError, name: str) -> DataError:
    content, position = error.object, error.start
    start = max(content.rfind(b"\n", 0, position) + 1, position - 40)
    text = content[start : position + 20].split(b"\n")[0].strip()
    readings: dict[str, str] = {}
    for encoding in LIKELY_ENCODINGS:
        readings.setdefault(text.decode(encoding, "replace"), encoding)
    shown = ", ".join(f"{encoding} reads {reading!r}" for reading, encoding in readings.items())
    return DataError(
        f"dataset.encoding: {name!r} is not UTF-8 (byte {content[position]:#x}); state the encoding in dataset: {shown}"
    )


@contextmanager
def open_bytes(path: Path, source: CsvSection) -> Iterator[BinaryIO]:
    """Open a file, decompressed by its ending. Lines of comment are skipped."""
    match path.suffix:
        case ".gz":
            file: BinaryIO = gzip.GzipFile(path)  # type: ignore[assignment]
        case ".bz2":
            file = bz2.BZ2File(path)  # type: ignore[assignment]
        case ".xz":
            file = lzma.LZMAFile(path)  # type: ignore[assignment]  # noqa: SIM115  # closed below
        case ".zst":
            file = pa.CompressedInputStream(str(path), "zstd")
        case ".zip":
            with zipfile.ZipFile(path) as archive:
                names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
                data = [name for name in names if not Path(name).name.startswith((".", "_")) and "__MACOSX" not in name]
                if not data:
                    raise ValueError("the archive has no file")
                if len(data) > 1:
                    raise ValueError(f"the archive has {len(data)} files: {', '.join(data[:5])}; leave one in it")
                file = io.BytesIO(archive.read(data[0]))
        case _:
            file = path.open("rb")
    with file:
        if source.comment:
            mark = source.comment.encode(source.encoding or "utf-8")
            yield io.BytesIO(b"".join(line for line in file if not line.startswith(mark)))
        else:
            yield file


def _read_header(path: Path, source: CsvSection, encoding: str, separator: str) -> tuple[list[str], int]:
    """Return the first row that is not empty. Also the number of lines up to its end."""
    quoting = {"quotechar": source.quote} if source.quote else {"quoting": csv.QUOTE_NONE}
    with open_bytes(path, source) as file:
        text = io.TextIOWrapper(file, "utf-8-sig" if encoding == "utf-8" else encoding, newline="")
        for _ in range(source.skip_rows):
            text.readline()
        rows = csv.reader(text, delimiter=separator, **quoting)
        header = next((row for row in rows if row), [])
        text.detach()
    return header, source.skip_rows + rows.line_num


def _parse(path: Path, source: CsvSection, layout: Layout, width: int) -> tuple[pa.Table | None, OtherWidth | None]:
    """Return the rows as text. If a row has another number of fields, return the first such row instead."""
    names = [str(position) for position in range(width)]
    for in_order in (False, True):
        wrong: list[OtherWidth] = []
        with open_bytes(path, source) as file:
            # pyarrow reads faster than Python.
            plain = path if not source.comment and path.suffix not in COMPRESSED else file
            table = pacsv.read_csv(plain, **csv_options(source, layout, names, wrong, in_order=in_order))
        if not wrong:
            return pa.table([without_empty(column) for column in table.columns], names), None
    return None, wrong[0]  # whose number is known, where the rows were read in order


def csv_options(
    source: CsvSection, layout: Layout, names: list[str], wrong: list[OtherWidth], *, in_order: bool
) -> dict[str, Any]:
    """Return the options of pyarrow's readers. The first row of another width is added to `wrong`."""
    null_words = [*source.na_values, *(NULL_WORDS if source.keep_default_na else ())]

    def note(row: pacsv.InvalidRow) -> str:
        if not wrong:
            wrong.append(OtherWidth(row.number or 0, row.actual_columns, row.text))
        return "skip"

    return {
        "read_options": pacsv.ReadOptions(
            column_names=names,
            skip_rows=layout.first_row,
            encoding=layout.encoding,
            use_threads=not in_order,
            block_size=BLOCK_BYTES,
        ),
        "parse_options": pacsv.ParseOptions(
            delimiter=layout.separator,
            quote_char=source.quote or False,
            newlines_in_values=layout.has_quotes,
            invalid_row_handler=note,
        ),
        "convert_options": pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=bool(null_words),
            null_values=null_words,
        ),
    }


def without_empty(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with null for empty fields. Doing it here is faster than in the reader."""
    is_empty = pc.equal(pc.binary_length(column), 0)
    if not pc.any(is_empty).as_py():
        return column
    return pc.if_else(is_empty, pa.scalar(None, column.type), column)


def wrong_width(wrong: OtherWidth, layout: Layout, name: str) -> DataError:
    """Return the error that names a row of another width."""
    others = [mark for mark in SEPARATORS if mark != layout.separator and mark in layout.header[0]]
    hint = f"is dataset.separator {others[0]!r}?" if others else "fix it, or name all columns by dataset.names"
    return DataError(
        f"dataset.path: {name!r}, line {wrong.line}: {wrong.text[:80]!r} has {wrong.fields} fields, the header "
        f"has {len(layout.header)}; {hint}"
    )


def check_quotes(table: pa.Table, layout: Layout, name: str) -> None:
    """Raise DataError for a quote that is never closed. The last row then reaches to the end of the file."""
    if not (layout.has_quotes and len(table)):
        return
    for column in table.columns:
        last = column[-1].as_py()
        if last and "\n" in last.rstrip("\r\n") + "\n" and last.endswith(("\n", "\r")):
            raise DataError(
                f"dataset.path: {name!r} is no CSV (a quote is never closed: {last[:40]!r}); close it, or state "
                "`quote: ''` in dataset if quotes are part of the text"
            )


def name_columns(table: pa.Table, header: Sequence[str], name: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Name the columns by the header. Leaves out an exported index and empty columns without a name."""
    names = [entry.strip() for entry in header]
    notes = ["blanks around the names of columns removed"] if names != list(header) else []
    kept = []
    for position, entry in enumerate(names):
        if entry:
            kept.append(position)
        elif (left_out := _without_name(table.column(position), position)) is not None:
            notes.append(left_out)
        else:
            raise DataError(
                f"dataset.path: column {position + 1} of {name!r} has no name; name it in the header, or all by "
                "dataset.names"
            )
    for position in kept:
        if (first := names.index(names[position])) != position:
            raise DataError(
                f"dataset.path: the header of {name!r} names {names[position]!r} twice, in columns {first + 1} and "
                f"{position + 1}; rename one, or name all columns by dataset.names"
            )
    return table.select(kept).rename_columns([names[position] for position in kept]), tuple(notes)


def _without_name(column: pa.ChunkedArray, position: int) -> str | None:
    """Return why a column without a name is left out."""
    if column.null_count == len(column):
        return f"column {position + 1} left out: it has no name and no value"
    is_number = pc.all(pc.match_substring_regex(column, r"^\d+$")).as_py() and not column.null_count
    if position == 0 and is_number and len(pc.unique(column)) == len(column):
        return "column 1 left out: it has no name and numbers the rows"
    return None
