from __future__ import annotations

import csv
import io
from collections.abc import Generator
from itertools import count, islice

import pytest

from aioconnections.columns import IdType, Untyped
from aioconnections.errors import InvalidInputError
from aioconnections.files.rows import NO_FIELD_LIMIT, PAIRS, PEOPLE, BadRowError, RowPair, Table, read_rows
from aioconnections.records import Email, Key, Pair, Userid

HEADER = "source_userid,target_userid,note\n"


def table(text: str, id_type: IdType | None = None) -> Table[RowPair]:
    return read_rows(io.StringIO(text, newline=""), PAIRS, id_type and Untyped(id_type))


def rows(text: str, id_type: IdType | None = None) -> list[RowPair | BadRowError]:
    return list(table(text, id_type).rows)


def seen(text: str) -> list[tuple[int, str]]:
    """Line and source, or the problem, of every row."""
    return [(row.line, row.problem if isinstance(row, BadRowError) else row.source.value) for row in rows(text)]


def only(text: str, id_type: IdType | None = None) -> Pair:
    (row,) = rows(text, id_type)
    assert isinstance(row, RowPair), row
    return Pair(row.source, row.target)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_common_kind_of_csv_is_read(delimiter: str, line_end: str) -> None:
    lines = ["source_email,target_email,note", "a@example.com,b@example.com,x", "", "c@example.com,d@example.com,y"]
    first, second = rows(line_end.join(lines).replace(",", delimiter))
    assert isinstance(first, RowPair)
    assert (first.source, first.target, first.line) == (Email("a@example.com"), Email("b@example.com"), 2)
    assert first.row == {"source_email": "a@example.com", "target_email": "b@example.com", "note": "x"}
    assert second.line == 4


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_line_that_tells_excel_the_delimiter_is_no_header(first: str) -> None:
    read = table(f"{first}\r\n\r\nsource_userid;target_userid;a,b,c,d\r\na;b;1,2\r\n")
    assert read.columns == ("source_userid", "target_userid", "a,b,c,d")
    (row,) = read.rows
    assert (row.line, row.row["a,b,c,d"]) == (4, "1,2")


def test_the_delimiter_may_be_one_that_only_that_line_tells() -> None:
    assert only("sep=|\nsource_userid|target_userid\na|b\n") == Pair(Userid("a"), Userid("b"))


def test_names_of_columns_that_are_understood_may_be_in_any_case() -> None:
    read = table("Source_Userid,TARGET,Note,Target_Userid\na,b,x,c\n", "userid")
    assert read.columns == ("source_userid", "target", "Note", "target_userid")
    (row,) = read.rows
    assert isinstance(row, RowPair)
    assert Pair(row.source, row.target) == Pair(Userid("a"), Userid("c"))


@pytest.mark.parametrize(
    "spelled", ["Source Email", "source-email", "SOURCE_EMAIL", " Source  E-mail ".replace("-", "")]
)
@pytest.mark.parametrize("target", ["Target Userid", "TARGET-USERID"])
def test_names_of_columns_may_be_spelled_with_spaces_or_hyphens(spelled: str, target: str) -> None:
    read = table(f"{spelled},{target},Source Of Data\na@example.com,b,x\n")
    assert read.columns == ("source_email", "target_userid", "Source Of Data")
    assert [row.line for row in read.rows if isinstance(row, RowPair)] == [2]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("Source Email,source_email,target_email", "two columns source_email, spelled Source Email and source_email"),
        ("SOURCE_EMAIL,Source_Email,target_email", "two columns source_email, spelled SOURCE_EMAIL and Source_Email"),
        ("source_email,source_email,target_email", "two columns source_email; remove or rename one"),
    ],
)
def test_two_columns_that_are_understood_as_the_same_are_refused(header: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        table(header + "\n")


def test_two_columns_for_the_role_are_refused_only_if_they_are_used() -> None:
    header = "source_userid,target_userid,source,Source\n"
    assert table(header).columns == ("source_userid", "target_userid", "source", "source_2")
    with pytest.raises(InvalidInputError, match="two columns source, spelled source and Source"):
        table(header, "key")


@pytest.mark.parametrize(
    ("header", "row", "columns"),
    [
        ('"source_email,x";source_email;target_email', "1;a@x;b@x", ("source_email,x", "source_email", "target_email")),
        ("source_email,target_email,a;b;c;d;e", "a@x,b@x,1;2", ("source_email", "target_email", "a;b;c;d;e")),
        ("source_email\ttarget_email\ta,b,c,d", "a@x\tb@x\t,,,", ("source_email", "target_email", "a,b,c,d")),
        ('Source Email;"Target-Email";a,b', 'a@x;b@x;"1;2"', ("source_email", "target_email", "a,b")),
    ],
)
def test_the_delimiter_is_the_one_that_gives_the_necessary_columns(
    header: str, row: str, columns: tuple[str, ...]
) -> None:
    read = table(f"{header}\n{row}\n")
    assert read.columns == columns
    (item,) = read.rows
    assert isinstance(item, RowPair)
    assert (item.source.value, item.target.value) == ("a@x", "b@x")


def test_a_delimiter_within_quotes_of_the_header_delimits_nothing() -> None:
    read = read_rows(io.StringIO('"source,x";target\na;b\n'), PAIRS, Untyped("userid", {"source": "source,x"}))
    assert read.columns == ("source,x", "target")
    (item,) = read.rows
    assert isinstance(item, RowPair)
    assert (item.source, item.target) == (Userid("a"), Userid("b"))


def test_fields_that_a_row_lacks_at_its_end_are_empty() -> None:
    first, second, third = rows(HEADER + "a,b\nc,d,x\ne\n")
    assert isinstance(first, RowPair)
    assert first.row == {"source_userid": "a", "target_userid": "b", "note": ""}
    assert isinstance(second, RowPair)
    assert isinstance(third, BadRowError)
    assert third.problem == "no target: target_userid, target_key and target_email are empty"
    assert third.row == {"source_userid": "e", "target_userid": "", "note": ""}


def test_a_row_with_too_many_fields_names_no_person_because_its_cells_may_be_shifted() -> None:
    (bad,) = rows("name,source_userid,target_userid\nJones, Ann,a,b\n")
    assert isinstance(bad, BadRowError)
    assert (bad.problem, bad.row) == (
        "4 fields where the header has 3; a field with the delimiter needs quotes",
        {"name": "Jones"},
    )


@pytest.mark.parametrize(
    ("first", "shown"),
    [
        ("ann@example.com,bob@example.com", "ann@example.com,bob@example.com"),
        ("a\x1b[31m\tb\udce9ä", "a\\x1b[31m\\tb\\udce9ä"),
        ("x" * 1_000, "x" * 59 + "…"),
    ],
    ids=["no header", "control characters", "long"],
)
def test_a_header_that_lacks_a_column_is_shown(first: str, shown: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        table(first + "\n")
    assert str(caught.value).endswith(f" with --id-type; the first line is: {shown}; is the header missing?")


@pytest.mark.parametrize(
    ("columns", "id_type", "pair"),
    [
        ("source_key,target_key", None, Pair(Key("ä"), Key("b"))),
        ("source_userid,target_key", None, Pair(Userid("ä"), Key("b"))),
        (" source_key , target_userid ", None, Pair(Key("ä"), Userid("b"))),
        ("source,target", "key", Pair(Key("ä"), Key("b"))),
        ("source,target_key", "userid", Pair(Userid("ä"), Key("b"))),
    ],
)
def test_columns_name_the_kind_of_identity(columns: str, id_type: IdType | None, pair: Pair) -> None:
    assert only(f"{columns}\n ä ,b\n", id_type) == pair


def test_where_a_row_names_a_person_twice_the_identity_that_every_server_takes_is_used() -> None:
    assert only("source_email,source_userid,target_email\na@example.com,u1,b@example.com\n").source == Userid("u1")
    assert only("source_email,source_userid,target_email\na@example.com, ,b@example.com\n").source == Email(
        "a@example.com"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("sep=;\n", "empty"),
        ("source_email,name\n", "no column for the target: target_userid, target_key, target_email, or target with"),
        ("source,target\n", "no column for the source: .*; to use source, add --id-type"),
        ("source_email,target_email,source_email\n", "two columns source_email"),
        ('"source_email,target_email\n', "header is not valid CSV"),
        ('[{"source_email": "a"}]', "one object per line"),
        ("s\0o\0", "not text in UTF-8"),
    ],
)
def test_an_input_without_a_header_that_makes_sense_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        table(text)


def test_columns_of_the_same_name_are_all_carried_along() -> None:
    read = table("source_userid,target_userid,x,x,x_2,,\na,b,1,2,3,4,5\n")
    assert read.columns == ("source_userid", "target_userid", "x", "x_3", "x_2", "", "_2")
    (row,) = read.rows
    assert list(row.row.values()) == ["a", "b", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    "again",
    [
        HEADER,
        "SOURCE_USERID, Target_Userid,note\n",
        "\ufeffsource_userid,target_userid,comment\n",
        '\ufeff"source_userid","target_userid","note"\n',
        "\ufeff\ufeff" + HEADER,
    ],
)
def test_a_header_that_comes_again_is_skipped(again: str) -> None:
    read = table(f"{HEADER}a,b,x\n{again}\ufeffc,d,y\n{again}")
    assert [row.line for row in read.rows] == [2, 4]
    assert (read.repeats.count, read.repeats.first) == (2, 3)


@pytest.mark.parametrize(
    "other",
    [
        "target_userid,source_userid,note",
        "target_userid,note,source_userid",
        "source_email,target_email,note",
        "\ufeffNOTE,source_userid,target_userid",
        "source_email,target_email",
    ],
)
def test_rows_below_another_header_are_not_read_as_if_they_were_below_the_first(other: str) -> None:
    assert seen(f"{HEADER}a,b,x\n{other}\nc,d,y\n{HEADER}e,f,z\n") == [
        (2, "a"),
        (3, "a header whose columns differ from the first header; process the files one by one"),
        (4, "the row belongs to the header in line 3, not to the first header"),
        (6, "e"),
    ]


def people(text: str) -> list[str]:
    table = read_rows(io.StringIO(text), PEOPLE, None)
    return [row.problem if isinstance(row, BadRowError) else row.identity.value for row in table.rows]


def test_a_cell_that_is_called_like_a_column_makes_no_header() -> None:
    assert people("userid,reached by\nann,email\nbob,key\n") == ["ann", "bob"]


def test_another_header_of_people_is_told_by_its_names() -> None:
    problems = [
        "a header whose columns differ from the first header; process the files one by one",
        "the row belongs to the header in line 2, not to the first header",
    ]
    assert people("userid,name\nname,userid\nAnn,u1\n") == problems
    assert people("userid\nemail\nann@example.com\n") == problems


def test_a_byte_order_mark_belongs_to_no_line_of_json() -> None:
    first, second = rows('\ufeff{"source_userid": "a", "target_userid": "b"}\n' * 2)
    assert isinstance(first, RowPair)
    assert isinstance(second, RowPair)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("20000001.0", "source_userid ends in .0, as spreadsheets and pandas write whole numbers; write 20000001"),
        (" 7.000 ", "source_userid ends in .0, as spreadsheets and pandas write whole numbers; write 7"),
        (f"{'1' * 30}.0", "source_userid ends in .0, as spreadsheets and pandas write whole numbers"),
        (
            "2E+07",
            "source_userid is a number with an exponent, as spreadsheets write long ones; write all its digits",
        ),
    ],
)
def test_what_a_spreadsheet_makes_of_a_number_is_no_id(text: str, problem: str) -> None:
    assert seen(f"{HEADER}{text},b,\nc,d,1.0\n") == [(2, problem), (3, "c")]


@pytest.mark.parametrize("text", ["1.5", "10.0.0.0", "v1.0", "12345e67", "1234E567", "007", "1,0,0"])
def test_ids_that_only_look_a_little_like_it_are_kept(text: str) -> None:
    assert seen(f'{HEADER}"{text}",b,\n') == [(2, text)]


def test_a_quoted_field_may_hold_line_ends_and_line_numbers_go_on() -> None:
    read = rows(HEADER + 'a,b,"one\r\ntwo, ""three""\n"\nc,d,x\n')
    assert [row.line for row in read] == [2, 5]
    assert read[0].row["note"] == 'one\r\ntwo, "three"\n'


def test_a_quote_inside_of_a_field_is_text_and_swallows_no_row() -> None:
    read = rows(HEADER + 'a,b,5" disk\nc,d,plain\ne,f,6" disk\n')
    assert [row.row["note"] for row in read] == ['5" disk', "plain", '6" disk']


@pytest.mark.parametrize("more", ["", "c,d,x\n" * 3, "c,d,x\n" * 200, 'c,d,"x"\n'])
def test_a_quoted_field_that_never_ends_spoils_its_own_line_only(more: str) -> None:
    good = [(number, "c") for number in range(3, 3 + more.count("\n"))]
    assert seen(HEADER + 'a,b,"x\n' + more) == [(2, "not valid CSV; check its quotes"), *good]


def test_a_stray_quote_that_finds_its_match_further_down_spoils_its_own_line_only() -> None:
    assert seen(HEADER + '"a,b,x\nc,d,x\ne,f,x"\ng,h,x\n') == [
        (2, "1 field where the header has 3; check its quotes"),
        (3, "c"),
        (4, "e"),
        (5, "g"),
    ]


@pytest.fixture
def no_field_limit() -> Generator[None]:
    """As while a file of rows is open."""
    before = csv.field_size_limit(NO_FIELD_LIMIT)
    yield
    csv.field_size_limit(before)


LONG = "x" * (csv.field_size_limit() + 1)


@pytest.mark.usefixtures("no_field_limit")
@pytest.mark.parametrize("note", [LONG, f'"{LONG}\n{LONG}"', f'"""{LONG}"'], ids=["bare", "lines", "quote"])
def test_a_field_may_be_longer_than_csv_allows(note: str) -> None:
    first, second = rows(f"{HEADER}a,b,{note}\nc,d,x\n")
    assert isinstance(first, RowPair)
    assert first.row["note"] == (note[1:-1].replace('""', '"') if note.startswith('"') else note)
    assert second.line == 3 + note.count("\n")


def test_a_field_that_is_too_long_for_csv_ends_the_reading() -> None:
    found = read_rows(io.StringIO(f'{HEADER}a,b,x\nc,d,"{LONG}\ne,f,x\n"\n'), PAIRS, None).rows
    assert isinstance(next(found), RowPair)
    with pytest.raises(InvalidInputError, match="line 3: a field may be longer than 131,072 characters"):
        next(found)
    assert list(found) == [], "no line of the field becomes a row"


@pytest.mark.usefixtures("no_field_limit")
@pytest.mark.parametrize("more", [0, 1, 60])
def test_a_quoted_field_that_never_ends_is_told_from_a_long_one(more: int) -> None:
    good = [(number, "c") for number in range(3, 3 + more)]
    problem = "not valid CSV; check its quotes"
    assert seen(f'{HEADER}a,b,"{LONG}\n' + f"c,d,{LONG}\n" * more) == [(2, problem), *good]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a,b,c,d", "4 fields where the header has 3; a field with the delimiter needs quotes"),
        (",b,", "no source: source_userid, source_key and source_email are empty"),
        ("a, ,", "no target: target_userid, target_key and target_email are empty"),
        ("a,a,", "source and target are the same person"),
        ("a\x07,b,", "source_userid: character 2 of the userid is U+0007, a control character"),
        ("a\udce9,b,", "source_userid: character 2 of the userid is U+DCE9, a lone surrogate"),
    ],
)
def test_a_row_without_a_pair_says_why_and_hides_no_other(line: str, problem: str) -> None:
    bad, good = rows(f"{HEADER}{line}\nc,d,x\n")
    assert isinstance(bad, BadRowError)
    assert bad.line == 2
    assert problem in bad.problem
    assert isinstance(good, RowPair)


def test_bytes_that_are_no_utf8_keep_nobody_back_in_other_columns() -> None:
    said: list[str] = []
    text = io.StringIO(HEADER + "a,b,cafés\na,b,caf\udce9\na,b,\udce9\n", newline="")
    first, second, third = read_rows(text, PAIRS, None, report=said.append).rows
    assert isinstance(first, RowPair)
    assert isinstance(second, RowPair)
    assert isinstance(third, RowPair)
    assert said == ["line 3 contains bytes that are not UTF-8; in the result each becomes \ufffd"]


def test_json_lines() -> None:
    text = '\n{"source_key": "ä", "target_userid": 12, "tags": [1]}\n\n{"source": "c", "target_key": "d"}'
    read = table(text, "key")
    assert (read.form, read.columns) == ("jsonl", ())
    first, second = read.rows
    assert isinstance(first, RowPair)
    assert (first.source, first.target, first.line) == (Key("ä"), Userid("12"), 2)
    assert first.row == {"source_key": "ä", "target_userid": 12, "tags": [1]}
    assert isinstance(second, RowPair)
    assert (second.source, second.target, second.line) == (Key("c"), Key("d"), 4)


SURROGATE = (
    "character 1 of the userid is U+D800, a lone surrogate: correct the encoding of the input, "
    "which is not text in UTF-8"
)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{broken", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ("1" * 5_000, "not a JSON object"),
        ('{"source_userid": "a", "target_userid": "b", "n": NaN}', "NaN is not a finite number"),
        ('{"source_userid": "a", "target_userid": "b", "n": [-Infinity]}', "-Infinity is not a finite number"),
        ('{"source_userid": "a", "target_userid": "b", "n": -1e400}', "-1e400 is not a finite number"),
        ("{}", "no source: source_userid, source_key and source_email are empty"),
        (
            '{"source_userid": null, "target_userid": "b"}',
            "no source: source_userid, source_key and source_email are empty",
        ),
        ('{"source_userid": {"a": 1}, "target_userid": "b"}', "source_userid is neither text nor a whole number"),
        ('{"source_userid": true, "target_userid": "b"}', "source_userid is neither text nor a whole number"),
        ('{"source_userid": "\\ud800", "target_userid": "b"}', f"source_userid: {SURROGATE}"),
        (
            '{"source_userid": "a", "target_userid": "b", "n": {"n": 1}, "target_userid": "c"}',
            "the row has two columns target_userid; remove or rename one",
        ),
        (
            '{"source_userid": "a", "Target Userid": "b", "n": 1, "Target Userid": "c"}',
            "the row has two columns target_userid; remove or rename one",
        ),
    ],
)
def test_a_json_line_without_a_pair_says_why_and_hides_no_other(line: str, problem: str) -> None:
    good = '{"source_userid": "a", "target_userid": "b"}'
    before, bad, after = rows(f"{good}\n{line}\n{good}\n")
    assert isinstance(before, RowPair)
    assert isinstance(bad, BadRowError)
    assert (bad.line, bad.problem) == (2, problem)
    assert isinstance(after, RowPair)


def test_names_that_a_json_line_repeats_elsewhere_do_not_matter() -> None:
    (row,) = rows(
        '{"source_userid": "a", "n": {"source_userid": 1, "source_userid": 2}, "x": 1, "target_userid": "b"}\n'
    )
    assert isinstance(row, RowPair)
    assert (row.source, row.target) == (Userid("a"), Userid("b"))


def test_the_rest_of_a_json_line_with_a_number_that_is_none_is_kept() -> None:
    bad, good = rows(
        '{"source_userid": "a", "n": [NaN, 1.5]}\n{"source_userid": "a", "target_userid": "b", "n": 1.5}\n'
    )
    assert bad.row == {"source_userid": "a", "n": [None, 1.5]}
    assert good.row["n"] == 1.5


def test_rows_are_read_as_they_are_wanted() -> None:
    endless = (HEADER if number == 0 else f"a{number},b,\n" for number in count())
    assert [row.line for row in islice(read_rows(endless, PAIRS, None).rows, 3)] == [2, 3, 4]
