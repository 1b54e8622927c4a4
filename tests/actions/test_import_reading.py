"""Reading CSV: whatever a file holds, in bounded memory, one bad line is one bad record."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portal.actions.importing.reading import LONGEST, CsvFile, Record, UnreadableFile

COLUMNS = ("id", "name")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def read(file: Path, content: bytes) -> list[Record]:
    file.write_bytes(content)
    return list(CsvFile(file, COLUMNS))


def outline(records: list[Record]) -> list[tuple[int, object]]:
    """Each record's line with its values, or with its fault's column and cause."""
    return [(record.line, record.fault or tuple(record.values.values())) for record in records]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_plain_file(file: Path, mark: bytes, line_end: bytes) -> None:
    content = mark + line_end.join([b"id,name", b"1,Zo\xc3\xab", b'2,"a, ""b"""', b"3,"])
    assert outline(read(file, content)) == [(2, ("1", "Zoë")), (3, ("2", 'a, "b"')), (4, ("3", ""))]


def test_columns_are_found_by_name_in_any_order_and_others_ignored(file: Path) -> None:
    assert outline(read(file, b"x, Name ,y,ID\n?,Mia,\xff,7\n")) == [(2, ("7", "Mia"))]


def test_empty_lines_are_no_records_and_are_counted(file: Path) -> None:
    assert outline(read(file, b"id,name\n\n1,a\n,\n  , \n2,b\n")) == [(3, ("1", "a")), (6, ("2", "b"))]


def test_a_record_with_too_few_or_too_many_values(file: Path) -> None:
    found = outline(read(file, b"id,name\n1\n1,a,b\n2,b\n"))
    assert found == [
        (2, ("", "it has 1 value, and the first line names 2 columns.")),
        (3, ("", "it has 3 values, and the first line names 2 columns.")),
        (4, ("2", "b")),
    ]


def test_what_is_not_utf8_is_told_with_its_column(file: Path) -> None:
    records = read(file, b"id,name\n1,Zo\xeb\n2,Zo\xc3\xab\n")
    assert records[0].fault
    assert records[0].fault[0] == "name"
    assert "not UTF-8" in records[0].fault[1]
    assert outline(records)[1] == (3, ("2", "Zoë"))


def test_nul_bytes_in_a_value_do_not_spoil_the_file(file: Path) -> None:
    assert outline(read(file, b"id,name\n1,a\x00b\n2,b\n")) == [(2, ("1", "a\x00b")), (3, ("2", "b"))]


@pytest.mark.parametrize("end", [b"", b"\n2,b", b'\n2,"b"\n', b"\n2,b\r\n"])
def test_a_quotation_mark_that_is_not_closed_spoils_its_own_line_only(file: Path, end: bytes) -> None:
    first, *others = outline(read(file, b'id,name\n1,"a' + end))
    assert first == (2, ("", "a quotation mark is opened in this row and not closed."))
    assert others == ([(3, ("2", "b"))] if end else [])


def test_a_quotation_mark_in_the_wrong_place(file: Path) -> None:
    first, second, third = outline(read(file, b'id,name\n1,"a"b\n2,b "c" d\n3,c\n'))
    assert first[0] == 2
    assert "not well-formed CSV" in str(first[1])
    assert (second, third) == ((3, ("2", 'b "c" d')), (4, ("3", "c")))


def test_a_carriage_return_within_a_line(file: Path) -> None:
    first, second = outline(read(file, b"id,name\n1,a\rb,c\n2,b\n"))
    assert "not well-formed CSV" in str(first[1])
    assert second == (3, ("2", "b"))


def test_values_with_line_breaks_where_a_file_may_have_them(file: Path) -> None:
    content = b'id,name\r\n1,"a\r\n\r\nb"\r\n2,"\n"\n3,c'
    assert outline(read(file, content)) == [
        (2, ("1", "a\r\n\r\nb")),
        (5, ("2", "\n")),
        (7, ("3", "c")),
    ]


@pytest.mark.parametrize("rest", [b"", b'5,"x"\n'])
def test_after_an_open_quotation_mark_the_next_lines_are_read_as_records(file: Path, rest: bytes) -> None:
    lines = b"".join(b"%d,v\n" % number for number in range(3, 300))
    first, *others = outline(read(file, b'id,name\n1,"a\n2,v\n' + lines + rest))
    assert first[0] == 2
    assert others[:298] == [(number + 1, (str(number), "v")) for number in range(2, 300)]
    assert len(others) == (299 if rest else 298)


def test_a_line_of_20_mb_takes_no_memory_and_spoils_nothing_else(file: Path) -> None:
    file.write_bytes(b"id,name\n1,a\n2," + b"x" * 20_000_000 + b"\n3,c\n" + b'4,"' + b"y" * 20_000_000)
    tracemalloc.start()
    records = list(CsvFile(file, COLUMNS))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    long = ("", "longer than 64 KB, which no row of an export is.")
    assert outline(records) == [(2, ("1", "a")), (3, long), (4, ("3", "c")), (5, long)]
    assert peak < 20 * LONGEST


def test_a_file_of_open_quotation_marks_is_read_to_its_end(file: Path) -> None:
    # Each of these lines leaves a quotation mark open, alone and after another one.
    file.write_bytes(b"id,name\n" + b'x","\n' * 2000)
    records = list(CsvFile(file, COLUMNS))
    assert [record.line for record in records if record.fault] == list(range(2, 2002))


def test_a_file_that_is_gone_or_may_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="not a file"):
        CsvFile(tmp_path / "nothing.csv", COLUMNS)
    with pytest.raises(UnreadableFile, match="not a file"):
        CsvFile(Path("/dev/zero"), COLUMNS)


@settings(deadline=None)
@given(
    content=st.binary(max_size=200) | st.text(alphabet='ab,"\r\n\0é', max_size=200).map(str.encode),
)
@example(content=b'"')
def test_any_bytes_give_records_or_one_refusal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "file.csv"
    for header in (b"", b"id,name\n"):
        file.write_bytes(header + content)
        csv_file = CsvFile(file, COLUMNS)
        try:
            records = list(csv_file)
        except UnreadableFile as error:
            refused = header == b"" and all(cause for _, cause in error.faults)
            assert refused
            continue
        lines = [record.line for record in records]
        assert lines == sorted(set(lines))
        assert csv_file.bytes_read == len(header + content) - (
            3 if (header + content).startswith(b"\xef\xbb\xbf") else 0
        )
        for record in records:
            assert record.fault or set(record.values) == set(COLUMNS)
