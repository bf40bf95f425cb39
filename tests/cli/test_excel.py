"""Files as Excel and other programs write them: they are read, and the result has the same form."""

from __future__ import annotations

import codecs
import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.records import Person, Status
from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid: status for person, status in DIRECTORY.neighbours(ME)}
STRANGERS = [person for person in OTHERS if person.userid not in NEIGHBOURS]
COMMUNITY = next(community for community in DIRECTORY.communities if community.invited)
COLLEAGUES = [person for person, status in DIRECTORY.neighbours(ME) if status is Status.ACCEPTED]
INVITERS = [person for person, status in DIRECTORY.neighbours(ME) if status is Status.PENDING]
INSIDE = {person.userid for person in (*COMMUNITY.owners, *COMMUNITY.members, *COMMUNITY.invited)}
GUESTS = [person for person in OTHERS if person.userid not in INSIDE]

Command = Callable[..., Any]

# For each command: its words, who is signed in, and the people to name.
PAIRS: dict[str, tuple[Person | str, list[Person]]] = {
    "check": (ME, OTHERS[:2]),
    "accept": (ME, INVITERS[:2]),
    "remove": (ME, COLLEAGUES[:2]),
    "connect": ("admin", STRANGERS[:2]),
    "disconnect": ("admin", COLLEAGUES[:2]),
}
PEOPLE: dict[str, tuple[Person | str, list[Person]]] = {
    "invite": (ME, STRANGERS[:2]),
    "profile": (ME, OTHERS[:2]),
    "community invite": (COMMUNITY.owners[0], GUESTS[:2]),
}
COMMANDS = PAIRS | PEOPLE


@pytest.fixture
def words(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """The words of a command, for which the right person is signed in."""
    assert signed_in

    def choose(name: str) -> list[str]:
        user = COMMANDS[name][0]
        monkeypatch.setenv("AIOCONNECTIONS_USER", user if isinstance(user, str) else str(user.userid))
        return [
            *name.split(),
            *[COMMUNITY.uuid] * (name == "community invite"),
            *["--no-journal"] * name.endswith("invite"),
        ]

    return choose


def lines_of(name: str, *, note: str = "note") -> list[list[str]]:
    """A header and two rows for a command; each row has a note with a letter that is not ASCII."""
    people = COMMANDS[name][1]
    assert len(people) == 2
    if name in PAIRS:
        rows = [[str(ME.userid), str(person.userid), f"Zoë {count}"] for count, person in enumerate(people)]
        return [["source_userid", "target_userid", note], *rows]
    return [["userid", note], *([str(person.userid), f"Zoë {count}"] for count, person in enumerate(people))]


def text_of(lines: list[list[str]], delimiter: str = ",", line_end: str = "\n") -> str:
    return "".join(delimiter.join(line) + line_end for line in lines)


def notes(text: str, delimiter: str = ",") -> list[str | None]:
    return [row.get("note") for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)]


def lines_end_with(text: str, line_end: str) -> bool:
    """Whether the header and the last row end so; cells of a dry run may hold line ends of their own."""
    header = text[: text.index("\n") + 1]
    return all(line.endswith(line_end) and line[: -len(line_end)][-1] != "\r" for line in (header, text))


def piped(words: list[str], content: bytes) -> tuple[int, bytes, str]:
    """The exit code, the result in bytes and the messages of a command whose input comes through a pipe."""
    line = [sys.executable, "-m", "aioconnections", *words]
    process = subprocess.run(line, input=content, capture_output=True, timeout=60, check=False)  # ourselves
    return process.returncode, process.stdout, process.stderr.decode()


FORMS = [
    pytest.param(
        delimiter, line_end, mark, id=f"{name}-{'crlf' if line_end == chr(13) + chr(10) else 'lf'}-{bool(mark)}"
    )
    for delimiter, name in ((",", "comma"), (";", "semicolon"), ("\t", "tab"))
    for line_end in ("\n", "\r\n")
    for mark in ("", "\ufeff")
]


@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry run"])
@pytest.mark.parametrize("name", COMMANDS)
def test_delimiter_mark_and_line_ends_of_the_result_are_those_of_the_input(
    command: Command, words: Callable[[str], list[str]], name: str, *, dry: bool
) -> None:
    text = "\ufeff" + text_of(lines_of(name), ";", "\r\n")
    Path("in.csv").write_bytes(text.encode())
    said = command(*words(name), "in.csv", "-o", "out.csv", "--ordered", *["--dry-run"] * dry)
    assert said.code == 0, said.err
    result = Path("out.csv").read_bytes().decode()
    assert result.startswith(text.splitlines()[0] + ";")
    assert result.count("\ufeff") == 1
    assert lines_end_with(result, "\r\n")
    assert notes(result[1:], ";") == ["Zoë 0", "Zoë 1"]


@pytest.mark.parametrize(("delimiter", "line_end", "mark"), FORMS)
def test_every_form_survives_in_a_file_and_on_standard_output(
    command: Command, words: Callable[[str], list[str]], delimiter: str, line_end: str, mark: str
) -> None:
    text = mark + text_of(lines_of("check"), delimiter, line_end)
    Path("in.csv").write_bytes(text.encode())
    written = command(*words("check"), "in.csv", "-o", "out.csv", "--ordered", "--dry-run")
    assert (written.code, written.out) == (0, "")
    result = Path("out.csv").read_bytes().decode()
    shown = command(*words("check"), "in.csv", "--ordered", "--dry-run")
    assert shown.out == result
    assert result.startswith(text.splitlines()[0] + delimiter)
    assert lines_end_with(result, line_end)
    assert notes(result.removeprefix("\ufeff"), delimiter) == ["Zoë 0", "Zoë 1"]


def test_the_result_is_an_input_of_the_same_form(command: Command, words: Callable[[str], list[str]]) -> None:
    Path("in.csv").write_bytes(("\ufeff" + text_of(lines_of("check"), ";", "\r\n")).encode())
    assert command(*words("check"), "in.csv", "-o", "one.csv", "--ordered", "--dry-run").code == 0
    assert command(*words("check"), "one.csv", "-o", "two.csv", "--ordered", "--dry-run").code == 0
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()


def test_a_line_that_declares_the_delimiter_is_kept(command: Command, words: Callable[[str], list[str]]) -> None:
    Path("in.csv").write_bytes(("sep=;\r\n" + text_of(lines_of("check"), ";", "\r\n")).encode())
    said = command(*words("check"), "in.csv", "--dry-run")
    assert said.out.startswith("sep=;\r\nsource_userid;target_userid;note;method;")


def test_the_form_of_csv_is_not_that_of_json_lines(command: Command, words: Callable[[str], list[str]]) -> None:
    Path("in.csv").write_bytes(("\ufeff" + text_of(lines_of("check"), ";", "\r\n")).encode())
    said = command(*words("check"), "in.csv", "--json", "--dry-run", "--ordered")
    assert said.out.isascii()
    assert "\r" not in said.out
    assert [json.loads(line)["note"] for line in said.out.splitlines()] == ["Zoë 0", "Zoë 1"]


def test_a_carriage_return_within_a_cell_ends_no_line(command: Command, words: Callable[[str], list[str]]) -> None:
    header, row, _ = lines_of("check")
    Path("in.csv").write_bytes((text_of([header, [*row[:2], '"one\rtwo"']])).encode())
    assert command(*words("check"), "in.csv", "-o", "out.csv", "--dry-run").code == 0
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["note"] for row in csv.DictReader(file)] == ["one\rtwo"]


@pytest.mark.parametrize(
    ("mark", "encoding"), [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")], ids=["LE", "BE"]
)
@pytest.mark.parametrize("name", ["check", "invite"])
def test_utf16_as_excel_writes_it_is_read_and_written(
    command: Command, words: Callable[[str], list[str]], mark: bytes, encoding: str, name: str
) -> None:
    Path("in.txt").write_bytes(mark + text_of(lines_of(name), "\t", "\r\n").encode(encoding))
    said = command(*words(name), "in.txt", "-o", "out.txt", "--ordered")
    assert said.code == 0, said.err
    raw = Path("out.txt").read_bytes()
    assert raw.startswith(codecs.BOM_UTF16_LE)  # Excel opens this one everywhere
    text = raw.decode("utf-16")
    assert "\ufeff" not in text
    assert lines_end_with(text, "\r\n")
    assert notes(text, "\t") == ["Zoë 0", "Zoë 1"]


def test_utf16_comes_and_goes_through_pipes(words: Callable[[str], list[str]]) -> None:
    text = text_of(lines_of("check"), "\t", "\r\n")
    code, out, err = piped([*words("check"), "--ordered", "--dry-run"], text.encode("utf-16"))
    assert code == 0, err
    assert notes(out.decode("utf-16"), "\t") == ["Zoë 0", "Zoë 1"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_lines_may_have_a_mark(command: Command, words: Callable[[str], list[str]], encoding: str) -> None:
    header, *rows = lines_of("check")
    text = "".join(json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False) + "\r\n" for row in rows)
    Path("in.jsonl").write_bytes(text.encode(encoding))
    assert command(*words("check"), "in.jsonl", "-o", "out.jsonl", "--ordered").code == 0
    raw = Path("out.jsonl").read_bytes()
    assert raw.isascii()
    assert [json.loads(line)["note"] for line in raw.splitlines()] == ["Zoë 0", "Zoë 1"]


@pytest.mark.parametrize("name", ["check", "invite", "profile"])
def test_another_encoding_is_an_option_and_its_result_is_utf8_with_a_mark(
    command: Command, words: Callable[[str], list[str]], name: str
) -> None:
    Path("in.csv").write_bytes(text_of(lines_of(name), ";", "\r\n").encode("cp1252"))
    said = command(*words(name), "in.csv", "--encoding", "cp1252", "-o", "out.csv", "--ordered")
    assert said.code == 0, said.err
    assert "replaced" not in said.err
    raw = Path("out.csv").read_bytes()
    assert raw.startswith(codecs.BOM_UTF8)
    assert notes(raw.decode("utf-8-sig"), ";") == ["Zoë 0", "Zoë 1"]


@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry run"])
@pytest.mark.parametrize("name", COMMANDS)
def test_bytes_that_are_not_utf8_are_counted_and_the_summary_names_the_option(
    command: Command, words: Callable[[str], list[str]], name: str, *, dry: bool
) -> None:
    Path("in.csv").write_bytes(text_of(lines_of(name)).encode("cp1252"))
    said = command(*words(name), "in.csv", "--ordered", *["--dry-run"] * dry)
    assert said.code == 0, said.err
    assert notes(said.out) == ["Zo\ufffd 0", "Zo\ufffd 1"]
    assert "2 bytes were not UTF-8 and were replaced: pass --encoding cp1252" in said.err.splitlines()[-1]


def test_one_byte_is_counted_in_the_singular_and_another_encoding_has_no_hint(
    command: Command, words: Callable[[str], list[str]]
) -> None:
    header, row, _ = lines_of("check")
    Path("in.csv").write_bytes(text_of([header, row]).replace("ë", "\x81").encode("latin-1"))
    said = command(*words("check"), "in.csv", "--dry-run", "--encoding", "cp1252")
    assert said.err.endswith("; 1 byte was not cp1252 and was replaced\n")


def test_a_utf16_file_that_is_cut_within_a_character_is_read(
    command: Command, words: Callable[[str], list[str]]
) -> None:
    Path("in.csv").write_bytes(text_of(lines_of("check")).encode("utf-16")[:-1])
    said = command(*words("check"), "in.csv", "--json", "--ordered", "--dry-run")
    assert said.code == 0
    assert said.err.endswith("; 1 byte was not UTF-16 and was replaced\n")


def test_a_mark_is_more_certain_than_the_option(command: Command, words: Callable[[str], list[str]]) -> None:
    Path("in.csv").write_text(text_of(lines_of("check")), encoding="utf-8-sig")
    said = command(*words("check"), "in.csv", "--ordered", "--dry-run", "--encoding", "cp1252")
    assert notes(said.out.removeprefix("\ufeff")) == ["Zoë 0", "Zoë 1"]


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "undefined", "", "a\0b", "idna-2"])
@pytest.mark.parametrize("name", ["check", "invite"])
def test_an_encoding_that_does_not_exist_is_a_usage_error(
    command: Command, words: Callable[[str], list[str]], encoding: str, name: str
) -> None:
    Path("in.csv").write_text(text_of(lines_of(name)), encoding="utf-8")
    said = command(*words(name), "in.csv", "--encoding", encoding)
    assert (said.code, said.out) == (2, "")
    assert "There is no encoding" in said.err


def test_utf16_without_a_mark_is_refused_with_the_option_to_pass(
    command: Command, words: Callable[[str], list[str]]
) -> None:
    Path("in.csv").write_bytes(text_of(lines_of("check")).encode("utf-16-le"))
    said = command(*words("check"), "in.csv")
    assert said.code == 2
    assert said.err == (
        "aioconnections: the input is not text in UTF-8; "
        "if it is UTF-16 without a byte order mark, pass --encoding utf-16-le\n"
    )
    said = command(*words("check"), "in.csv", "--encoding", "utf-16-le", "-o", "out.csv", "--dry-run", "--ordered")
    assert notes(Path("out.csv").read_text("utf-16")) == ["Zoë 0", "Zoë 1"]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_file_is_refused_and_a_header_alone_is_a_run_without_rows(
    command: Command, words: Callable[[str], list[str]], name: str
) -> None:
    Path("in.csv").write_bytes(b"")
    said = command(*words(name), "in.csv")
    assert (said.code, said.out, said.err) == (2, "", "aioconnections: the input is empty\n")
    header = text_of(lines_of(name)[:1]).rstrip()
    for content in (header, header + "\r\n"):
        Path("in.csv").write_bytes(content.encode())
        said = command(*words(name), "in.csv")
        assert said.code == 0
        assert said.out.startswith(header + ",")
        assert len(said.out.splitlines()) == 1


def test_a_nul_byte_spoils_at_most_its_own_row(command: Command, words: Callable[[str], list[str]]) -> None:
    header, one, two = lines_of("check")
    Path("in.csv").write_bytes(text_of([header, [*one[:2], "a\0b"], [two[0] + "\0", *two[1:]], two]).encode())
    said = command(*words("check"), "in.csv", "--ordered")
    assert [bool(row["status"]) for row in said.rows] == [True, False, True]
    assert "is U+0000 NULL, a control character" in said.rows[1]["error"]


WORKBOOK = b"PK\x03\x04\x14\x00\x06\x00\x08\x00"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PARQUET = b"PAR1\x15\x04\x15\x10"


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("p.xlsx", WORKBOOK, "is an Excel or OpenDocument workbook"),
        ("p.ods", WORKBOOK, "is an Excel or OpenDocument workbook"),
        ("p.xls", OLE, "is an Excel workbook"),
        ("p.parquet", PARQUET, "is not a valid Parquet file: "),
        ("p.csv", WORKBOOK, "is an Excel or OpenDocument workbook"),
        ("p.csv", OLE, 'save it as CSV (in Excel: "CSV UTF-8")'),
        ("p.csv", PARQUET, "is not a valid Parquet file: "),
        ("p.csv", b"\x1f\x8b\x08\x00", "decompress it first"),
        ("p.xlsx", b"", "is named like a workbook of a spreadsheet program; save it as CSV"),
        ("p.XLS", b"userid,source_userid,target_userid\n", "rename it if it is CSV"),
        ("p.parquet", b"x", "is named like a Parquet file"),
    ],
)
@pytest.mark.parametrize("name", ["check", "invite", "profile", "remove"])
def test_a_workbook_or_a_parquet_file_gets_one_line_of_advice(
    command: Command, words: Callable[[str], list[str]], file: str, content: bytes, problem: str, name: str
) -> None:
    Path(file).write_bytes(content)
    said = command(*words(name), file)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"aioconnections: {file} is ")
    assert problem in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("content", [WORKBOOK, OLE, PARQUET], ids=["zip", "ole", "parquet"])
def test_a_workbook_is_told_by_its_first_bytes_on_standard_input(
    words: Callable[[str], list[str]], content: bytes
) -> None:
    code, out, err = piped(words("check"), content)
    assert (code, out) == (2, b"")
    assert err.startswith("aioconnections: the input is a")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("search", "x"), ("check", "in.csv"), ("report", "j.sqlite")], ids=" ".join)
def test_no_result_gets_the_name_of_a_workbook(command: Command, arguments: tuple[str, ...]) -> None:
    said = command(*arguments, "--output", "result.xlsx")
    assert said.code == 2
    assert "The result is CSV, JSON lines or Parquet, but result.xlsx is named like a workbook" in " ".join(
        said.err.split()
    )
    assert not Path("result.xlsx").exists()


@pytest.mark.parametrize("name", PAIRS)
def test_columns_of_any_name_may_hold_the_pair(command: Command, words: Callable[[str], list[str]], name: str) -> None:
    _, *rows = lines_of(name)
    Path("in.csv").write_text(text_of([["Employee No", "Line Manager", "note"], *rows]), encoding="utf-8")
    chosen = ("--source-column", "Employee No", "--target-column", "Line Manager")
    said = command(*words(name), "in.csv", *chosen, "--id-type", "userid", "--ordered")
    assert said.code == 0, said.err
    assert said.out.startswith("Employee No,Line Manager,note,")
    said = command(*words(name), "in.csv", *chosen)
    assert said.code == 2
    assert "--source-column needs --id-type" in said.err
    said = command(*words(name), "in.csv", *chosen[:2], "--target-column", "Boss", "--id-type", "userid")
    assert said.code == 2
    assert "Boss, which --target-column names; the first line is: Employee No,Line Manager,note" in said.err


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_column_of_any_name_may_hold_the_person(
    command: Command, words: Callable[[str], list[str]], name: str, form: str
) -> None:
    _, *rows = lines_of(name)
    text = text_of([["Employee", "note"], *rows])
    if form == "jsonl":
        text = "".join(json.dumps({"Employee": row[0], "note": row[1]}) + "\n" for row in rows)
    Path("in").write_text(text, encoding="utf-8")
    said = command(*words(name), "in", "--person-column", "Employee", "--id-type", "userid", "--dry-run")
    assert said.code == 0, said.err
    assert "Employee" in said.out.splitlines()[0]
    assert all(str(person.userid) in said.out for person in PEOPLE[name][1])
    assert command(*words(name), "in", "--person-column", "Employee").code == 2


def test_a_chosen_column_is_preferred_to_one_that_is_known(command: Command, words: Callable[[str], list[str]]) -> None:
    one, two = OTHERS[:2]
    Path("in.csv").write_text(f"userid,Deputy\n{one.userid},{two.userid}\n{one.userid},\n", encoding="utf-8")
    said = command(*words("profile"), "in.csv", "--person-column", "Deputy", "--id-type", "userid", "--ordered")
    assert said.rows[0]["found_userid"] == str(two.userid)
    assert said.rows[1]["error"] == "line 3: no person: Deputy is empty"


@pytest.mark.parametrize("chosen", [("--source-column", " "), ("--source-column", "a", "--target-column", "a")])
def test_a_column_without_a_name_or_for_two_roles_is_refused(
    command: Command, words: Callable[[str], list[str]], chosen: tuple[str, ...]
) -> None:
    assert command(*words("check"), "in.csv", *chosen, "--id-type", "key").code == 2


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("name", ["check", "invite"])
def test_names_of_columns_are_understood_in_any_spelling(
    command: Command, words: Callable[[str], list[str]], form: str, name: str
) -> None:
    header, *rows = lines_of(name)
    spelled = [column.replace("_", " ").title() for column in header[:-1]] + ["note"]
    text = text_of([spelled, *rows])
    if form == "jsonl":
        text = "".join(json.dumps(dict(zip(spelled, row, strict=True))) + "\n" for row in rows)
    Path("in").write_text(text, encoding="utf-8")
    said = command(*words(name), "in", "--ordered", "--json")
    assert said.code == 0, said.err
    assert [list(json.loads(line))[: len(header)] for line in said.out.splitlines()] == [header, header]


def test_a_json_object_with_two_spellings_is_one_bad_row(command: Command, words: Callable[[str], list[str]]) -> None:
    row = {"source_userid": str(ME.userid), "target_userid": str(OTHERS[0].userid)}
    text = json.dumps(row | {"Source Userid": "x"}) + "\n" + json.dumps(row) + "\n"
    Path("in.jsonl").write_text(text, encoding="utf-8")
    said = command(*words("check"), "in.jsonl", "--ordered")
    assert said.code == 1
    bad, good = map(json.loads, said.out.splitlines())
    problem = "line 1: the row has two columns source_userid, spelled source_userid and Source Userid"
    assert bad["error"] == f"{problem}; remove or rename one"
    assert good["status"]
