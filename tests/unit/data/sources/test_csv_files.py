"""CSV files as people have them."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError
from support.reading import columns, csv_source, load, refusal

from waterflow.config.project import Project
from waterflow.config.schema import CsvSource

TOWNS = "id,town\n1,Zürich\n2,Genève\n"


# Layout


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_separator_is_found_and_recorded(project: Project, mark: str) -> None:
    """No key is needed for what the file says."""
    loaded = load(project, csv_source(project, f"a{mark}b\n1{mark}x\n"))
    assert loaded.frame.to_dict("list") == {"a": [1], "b": ["x"]}
    assert loaded.facts.reading["separator"] == mark


def test_a_separator_that_does_not_fit_all_rows_is_not_taken(project: Project) -> None:
    """The header alone has one semicolon and one comma."""
    assert columns(project, csv_source(project, "a;b,c\n1,2;3\n4;5\n6;7\n")) == {
        "a": [1.2, 4, 6],
        "b,c": [3, 5, 7],
    }


def test_two_separators_that_fit_are_shown(project: Project) -> None:
    """Nobody can say which is meant."""
    message = refusal(project, csv_source(project, "a;b;c|d\n1;2;3|4\n"))
    assert "3 columns with `separator: ';'` or 2 columns with `separator: '|'`" in message


def test_a_wrong_separator_is_named(project: Project) -> None:
    """One column whose name holds the right one."""
    message = refusal(project, csv_source(project, "a,b\n1,2\n", separator=";"))
    assert "with ';' 'data/rows.csv' has one column, 'a,b'; is it ','?" in message


@pytest.mark.parametrize("content", ["a,b\n1,2\n3,4,\n", "a,b\n1,2\n3\n", 'a,b\n1,"2"\n3,"4",5\n'])
def test_a_line_of_another_width_is_refused_by_its_number(project: Project, content: str) -> None:
    """One field more would shift the columns, one less would be a null that nobody wrote."""
    assert "line 3: '3" in refusal(project, csv_source(project, content))


def test_lines_above_the_header_are_counted(project: Project) -> None:
    """As an editor shows them."""
    assert "line 5: '3'" in refusal(project, csv_source(project, "report\n\na,b\n1,2\n3\n", skip_rows=1))


def test_a_file_with_a_field_more_on_every_line_is_read_by_names(project: Project) -> None:
    """The key that the refusal names."""
    source = csv_source(project, "a,b\n1,2,\n3,4,\n", names=["a", "b", "empty"])
    assert columns(project, source)["b"] == [2, 4]


def test_a_header_that_names_a_column_twice_is_refused(project: Project) -> None:
    """The second may be a copy of the target."""
    message = refusal(project, csv_source(project, "id,y,y\n1,0,0\n"))
    assert "names 'y' twice, in columns 2 and 3" in message
    assert columns(project, csv_source(project, "id,y,y\n1,0,0\n", names=["id", "y", "z"])) == {
        "id": [1],
        "y": [0],
        "z": [0],
    }


def test_an_exported_index_is_left_out_and_noted(project: Project) -> None:
    """Rows that were sorted by the answer are numbered by it."""
    loaded = load(project, csv_source(project, ",x\n0,5\n1,6\n"))
    assert list(loaded.frame) == ["x"]
    assert loaded.facts.notes == ("column 1 left out: it has no name and numbers the rows",)


def test_another_column_without_a_name_is_refused(project: Project) -> None:
    """Its values may matter."""
    assert "column 2 of 'data/rows.csv' has no name" in refusal(project, csv_source(project, "x,,z\n0,a,1\n1,b,2\n"))


def test_blanks_around_names_do_not_count(project: Project) -> None:
    """The target `y` is there although the header says ` y`."""
    assert list(columns(project, csv_source(project, "id, y\n1,2\n"))) == ["id", "y"]


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        ("# made today\na,b\n1,2\n# end\n", {"comment": "#"}),
        ("made today\n\na,b\n1,2\n", {"skip_rows": 1}),
        ("1,2\n", {"header": False, "names": ["a", "b"]}),
        ("a,b\n'1','2'\n", {"quote": "'"}),
        ("\n\na,b\n\n1,2\n", {}),
    ],
)
def test_keys_say_what_surrounds_the_rows(project: Project, content: str, keys: dict[str, Any]) -> None:
    """Comments, titles, a missing header, other quotes, empty lines."""
    assert columns(project, csv_source(project, content, **keys)) == {"a": [1], "b": [2]}


def test_quotes_may_be_part_of_the_text(project: Project) -> None:
    """An inch is no quote that was never closed."""
    content = 'a,b\n1,"5 pipe\n2,y\n'
    assert "`quote: ''`" in refusal(project, csv_source(project, content))
    assert columns(project, csv_source(project, content, quote=""))["b"] == ['"5 pipe', "y"]


def test_a_quoted_field_may_hold_anything(project: Project) -> None:
    """Separators, quotes and line breaks."""
    assert columns(project, csv_source(project, 'a,b\n1,"x, ""y""\nz"\n2,w\n'))["b"] == ['x, "y"\nz', "w"]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_a_compressed_file_is_read_by_its_ending(project: Project, ending: str, pack: Callable[[bytes], bytes]) -> None:
    """As exports are stored."""
    assert columns(project, csv_source(project, pack(b"a,b\n1,2\n"), f"rows.csv{ending}")) == {"a": [1], "b": [2]}


def zipped(content: bytes | None) -> bytes:
    """Return an archive of a folder and, where there is content, a file in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export/", b"")
        if content is not None:
            archive.writestr("export/rows.csv", content)
    return packed.getvalue()


def test_a_zip_is_read_by_its_only_file(project: Project) -> None:
    """Anything else would be a guess: an archive with two is refused by their names."""
    assert columns(project, csv_source(project, zipped(b"a,b\n1,2\n"), "rows.csv.zip")) == {"a": [1], "b": [2]}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("may.csv", "__MACOSX/._may.csv", "june.csv"):
            archive.writestr(name, "a,b\n1,2\n")
    message = refusal(project, csv_source(project, packed.getvalue(), "two.csv.zip"))
    assert "'data/two.csv.zip' is no CSV (the archive has 2 files: may.csv, june.csv" in message


def damaged(packed: bytes) -> bytes:
    """Return a file of the same length with other bytes in its middle."""
    start = len(packed) // 2
    return packed[:start] + bytes(255 - byte for byte in packed[start : start + 40]) + packed[start + 40 :]


@pytest.mark.parametrize(
    ("ending", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zip", zipped)],
)
@pytest.mark.parametrize("spoil", [damaged, lambda packed: packed[: len(packed) // 2], lambda packed: b"a,b\n1,2\n"])
def test_a_damaged_archive_is_refused_by_name(
    project: Project, ending: str, pack: Callable[[bytes], bytes], spoil: Callable[[bytes], bytes]
) -> None:
    """With other bytes, cut short, or text under the ending of an archive."""
    rows = "".join(f"{number},{number * 7919 % 1000}\n" for number in range(5000))
    source = csv_source(project, spoil(pack(f"a,b\n{rows}".encode())), f"rows.csv{ending}")
    assert f"'data/rows.csv{ending}' is n" in refusal(project, source)  # no CSV or, by chance, not UTF-8


def test_an_archive_without_a_file_is_refused_by_name(project: Project) -> None:
    """There is nothing to read."""
    message = refusal(project, csv_source(project, zipped(None), "rows.csv.zip"))
    assert "'data/rows.csv.zip' is no CSV (the archive has no file)" in message


# Encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf_is_recognised(project: Project, encoding: str) -> None:
    """By its byte order mark, or because every byte fits."""
    assert columns(project, csv_source(project, TOWNS.encode(encoding)))["town"] == ["Zürich", "Genève"]


def test_another_encoding_is_refused_with_readings(project: Project) -> None:
    """All eight-bit encodings fit every file, so a person decides."""
    content = TOWNS.encode("cp1252")
    message = refusal(project, csv_source(project, content))
    assert "is not UTF-8 (byte 0xfc)" in message
    assert "cp1252 reads '1,Zürich'" in message
    assert columns(project, csv_source(project, content, encoding="cp1252"))["town"] == ["Zürich", "Genève"]


@pytest.mark.parametrize("content", [b"a,b\n1,\xfc", b"a,b\n" + b"1,2\n" * 100_000 + b"1,\xfc\n"])
def test_a_byte_that_is_no_utf8_is_found_wherever_it_stands(project: Project, content: bytes) -> None:
    """The last one of the file, or far down."""
    assert "is not UTF-8 (byte 0xfc)" in refusal(project, csv_source(project, content))


def test_an_unknown_encoding_is_refused_in_the_configuration() -> None:
    """Before any file is read."""
    with pytest.raises(ValidationError, match="is no encoding that Python knows"):
        CsvSource(kind="csv", path="x.csv", encoding="latin1252")


# Types


def test_zeros_before_digits_stay(project: Project) -> None:
    """A postcode is no number, although all its characters are digits."""
    assert columns(project, csv_source(project, "zip,x\n01069,1\n80331,2\n"))["zip"] == ["01069", "80331"]


def test_the_contract_says_what_is_text(project: Project) -> None:
    """Also where no zero gives it away."""
    source = csv_source(project, "zip,x\n8003,1\n80331,2\n")
    assert columns(project, source, contract={"zip": "text"})["zip"] == ["8003", "80331"]
    assert columns(project, csv_source(project, "zip,x\n8003,1\n", dtype={"zip": "text"}))["zip"] == ["8003"]


def test_a_column_has_one_type_however_late_the_text(project: Project) -> None:
    """The last of a hundred thousand store numbers has a letter."""
    loaded = load(
        project, csv_source(project, "id,store\n" + "".join(f"{n},{n % 40}\n" for n in range(100_000)) + "0,7A\n")
    )
    assert loaded.frame["store"].map(type).eq(str).all()
    assert loaded.facts.notes == ("'store' text, for '7A' is no number",)


def test_words_for_null_are_null_beside_numbers_and_words_beside_text(project: Project) -> None:
    """NA is Namibia, and no number."""
    source = csv_source(project, "country,x\nNA,NA\nDE,1.5\n,None\n")
    loaded = load(project, source)
    assert loaded.frame["country"].tolist()[:2] == ["NA", "DE"]
    assert loaded.frame["x"].isna().tolist() == [True, False, True]
    assert loaded.facts.notes == ("'country' text with 'NA', which `na_values: [NA]` would make null",)


@pytest.mark.parametrize(
    ("keys", "nulls"),
    [
        ({"keep_default_na": True}, {"country": [True, False, True], "x": [True, False, True]}),
        ({"keep_default_na": False}, {"country": [False, False, True], "x": [False, False, False]}),
        ({"na_values": ["NA", 1.5]}, {"country": [True, False, True], "x": [True, True, True]}),
    ],
)
def test_what_counts_as_null_can_be_stated(
    project: Project, keys: dict[str, Any], nulls: dict[str, list[bool]]
) -> None:
    """Everywhere, nowhere, or other words."""
    frame = load(project, csv_source(project, "country,x\nNA,NA\nDE,1.5\n,None\n", **keys)).frame
    assert {name: column.isna().tolist() for name, column in frame.items()} == nulls


@pytest.mark.parametrize(
    ("content", "keys", "values"),
    [
        ("x;y\n1234,56;a\n7,5;b\n", {}, [1234.56, 7.5]),
        ("x;y\n1.234,56;a\n7,5;b\n", {}, [1234.56, 7.5]),
        ('x,y\n"1,234.50",a\n"7",b\n', {}, [1234.5, 7]),
        ('x,y\n"1,234",2.5\n"7",3.5\n', {}, [1234, 7]),
        ("x;y\n1.234;2,5\n7.000;3,5\n", {}, [1234, 7000]),
        ('x,y\n"1,234",a\n', {"thousands": ","}, [1234]),
        ('x,y\n"1,234",a\n', {"decimal": ","}, [1.234]),
        ("x,y\n1'234.5,a\n", {"thousands": "'"}, [1234.5]),
        ("x,y\n12%,a\n3.5 %,b\n", {}, [0.12, 0.035]),
        ("x,y\n 12 ,a\n+3,b\n", {}, [12, 3]),
    ],
)
def test_numbers_are_read_as_they_are_written(
    project: Project, content: str, keys: dict[str, Any], values: list[float]
) -> None:
    """Decimal comma, thousands and percent; the rest of the file decides what one value does not."""
    assert columns(project, csv_source(project, content, **keys))["x"] == values


def test_numbers_with_two_readings_are_refused_with_both(project: Project) -> None:
    """A thousandfold difference is no matter of taste."""
    message = refusal(project, csv_source(project, 'price,y\n"1,234",a\n"3,250",b\n'))
    assert "column 'price': '1,234' is 1234 with `thousands: \",\"` or 1.234 with `decimal: \",\"`" in message
    assert columns(project, csv_source(project, 'price,y\n"1,234",a\n'), unused=frozenset(["price"]))["price"] == [
        "1,234"
    ]


def test_two_decimal_marks_in_one_file_are_refused(project: Project) -> None:
    """One of the columns means something else."""
    message = refusal(project, csv_source(project, "a;b\n1,5;2.5\n"))
    assert "columns 'a' and 'b' differ in their decimal mark ('1,5', '2.5')" in message


def test_digits_beyond_64_bits_stay_text(project: Project) -> None:
    """As a number the last ones would be lost."""
    assert columns(project, csv_source(project, "id,x\n123456789012345678901,1\n"))["id"] == ["123456789012345678901"]


def test_words_can_be_booleans(project: Project) -> None:
    """Where the file's own words are stated, or the contract says what 0 and 1 mean."""
    source = csv_source(project, "a,b\nja,1\nnein,0\n", true_values=["ja"], false_values=["nein"])
    assert columns(project, source, contract={"b": "boolean"}) == {"a": [True, False], "b": [True, False]}


# Times


def test_iso_times_are_times(project: Project) -> None:
    """No key is needed for the one format that means one thing."""
    frame = load(project, csv_source(project, "when,x\n2024-01-31,1\n,2\n")).frame
    assert frame["when"].tolist()[0] == pd.Timestamp("2024-01-31")


def test_days_and_months_that_nothing_tells_apart_are_refused(project: Project) -> None:
    """With both readings; a column that nothing uses is left as it is."""
    source = csv_source(project, "when,x\n01/02/2015,1\n11/12/2015,2\n")
    message = refusal(project, source)
    assert "'01/02/2015' may be 1 February 2015 (%d/%m/%Y) or 2 January 2015 (%m/%d/%Y)" in message
    assert columns(project, source, unused=frozenset(["when"]))["when"] == ["01/02/2015", "11/12/2015"]


@pytest.mark.parametrize(
    "keys", [{"day_first": True}, {"time_format": "%d/%m/%Y"}, {"time_format": {"when": "%d/%m/%Y"}}]
)
def test_the_order_of_day_and_month_can_be_stated(project: Project, keys: dict[str, Any]) -> None:
    """By order or by format."""
    frame = load(project, csv_source(project, "when,x\n01/02/2015,1\n", **keys)).frame
    assert frame["when"].tolist() == [pd.Timestamp("2015-02-01")]


def test_one_day_after_the_twelfth_decides_for_the_whole_column(project: Project) -> None:
    """Not for itself alone."""
    loaded = load(project, csv_source(project, "when,x\n01/02/2015,1\n13/02/2015,2\n"))
    assert loaded.frame["when"].dt.month.tolist() == [2, 2]
    assert loaded.facts.notes == ("'when' times as %d/%m/%Y",)


def test_numbers_since_1970_need_their_unit(project: Project) -> None:
    """Seconds and milliseconds look alike."""
    source = csv_source(project, "when,x\n1388534400,1\n")
    assert "with `time_unit: s` in dataset it is 2014-01-01 00:00" in refusal(project, source, time_column="when")
    stated = csv_source(project, "when,x\n1388534400,1\n", time_unit="s")
    assert columns(project, stated, time_column="when")["when"] == [pd.Timestamp("2014-01-01", tz="UTC")]


def test_digits_of_a_day_need_their_format(project: Project) -> None:
    """They are a number as well."""
    source = csv_source(project, "when,x\n20150105,1\n", time_format="%Y%m%d")
    assert columns(project, source, time_column="when")["when"] == [pd.Timestamp("2015-01-05")]
