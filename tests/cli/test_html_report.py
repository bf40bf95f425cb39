"""``report --html`` and ``check --report``: a file to look at, for its owner alone, and never over another file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from journals import opened

from aioconnections import BadRequestError, Email, Invited, Rejected
from aioconnections.journal.items import item_reference
from aioconnections.journal.stored import to_stored
from aioconnections.policy.timeline import TimelineBucket

Command = Callable[..., Any]


@pytest.fixture
def journal() -> Path:
    """A journal of invitations: one was made, one was rejected, and one is in doubt."""

    async def write() -> None:
        async with opened(Path("j.sqlite"), wall=1_796_000_000.0) as journal:
            person = [item_reference(person=Email(f"p{n}@example.com"), digest="d1") for n in range(3)]
            for index in range(3):
                await journal.intent(index, person[index], send=1)
            ann = Email("p0@example.com")
            await journal.outcome(0, person[0], to_stored(Invited("c1", person=ann)), durable=False)
            error = BadRequestError(400, None, "no <such> person")
            await journal.outcome(1, person[1], to_stored(Rejected(error)), durable=False)
            assert journal.timeline is not None
            for second in range(10):
                journal.timeline.add(1_796_000_000 + second, TimelineBucket(1.0, done=1, requests=1, bound=1.0))
            journal.save_timeline()

    anyio.run(write)
    return Path("j.sqlite")


def pairs_file(*rows: str) -> Path:
    path = Path("pairs.csv")
    path.write_text("\n".join(["source_userid,target_userid", *rows, ""]), "utf-8")
    return path


def test_a_journal_becomes_one_file_for_its_owner(command: Command, journal: Path) -> None:
    said = command("report", journal, "--html", "report.html")
    assert (said.code, said.out) == (1, "")
    assert "3 read: 1 invited, 1 in doubt, 1 rejected" in said.err
    made = Path("report.html")
    text = made.read_text("utf-8")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert "p1@example.com" in text
    assert "no &lt;such&gt; person" in text
    assert "the run ended before the outcome was recorded" in text
    assert "p0@example.com" not in text
    assert text.count("<figure") == 2
    assert sorted(path.name for path in Path().iterdir()) == ["j.sqlite", "j.sqlite.lock", "report.html"]


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="the shell names pipes there")
def test_a_pipe_gets_the_report(command: Command, journal: Path) -> None:
    reading, writing = os.pipe()
    try:
        assert command("report", journal, "--html", f"/dev/fd/{writing}").code == 1  # as with: --html >(program)
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read().endswith(b"</body></html>\n")


def test_rows_are_written_with_output_alone(command: Command, journal: Path) -> None:
    assert command("report", journal, "--html", "report.html", "--output", "rows.csv").code == 1
    assert len(Path("rows.csv").read_text("utf-8").splitlines()) == 4
    assert Path("report.html").exists()


@pytest.mark.parametrize("option", ["--json", "--format=csv", "--excel-safe"])
def test_an_option_for_rows_needs_a_file_for_them(command: Command, journal: Path, option: str) -> None:
    said = command("report", journal, "--html", "report.html", option)
    assert (said.code, said.out, Path("report.html").exists()) == (2, "", False)
    name = option.partition("=")[0]
    assert said.err == (
        f"aioconnections: {name} needs --output, because with --html, rows are only written to a file\n"
    )
    assert command("report", journal, "--html", "report.html", option, "--output", "rows").code == 1
    assert Path("rows").exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("j.sqlite", "the report cannot be written over the journal; choose another file"),
        ("j.sqlite-wal", "the report cannot be written over the journal; choose another file"),
        ("j.sqlite.1", "the report cannot be written over the journal; choose another file"),
        ("rows.csv", "the report cannot be written over the result; choose another file"),
        (".", "--html . is a folder; choose another file"),
        ("no/report.html", "--html no/report.html is in a folder that does not exist; choose another file"),
    ],
)
def test_another_file_is_not_overwritten(command: Command, journal: Path, path: str, message: str) -> None:
    before = journal.read_bytes()
    said = command("report", journal, "--html", path, "--output", "rows.csv")
    assert (said.code, said.out, said.err) == (2, "", f"aioconnections: {message}\n")
    assert journal.read_bytes() == before
    assert not Path("rows.csv").exists()


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("with_journal", [False, True])
def test_a_check_writes_its_report_at_the_end(command: Command, reference: Any, *, with_journal: bool) -> None:
    people = [person.userid.value for person in reference.app.directory.people[:4]]
    path = pairs_file(*(f"{people[0]},{other}" for other in people[1:]), "one", f"{people[0]},{people[0]}")
    recorded = ["--journal", "run.sqlite"] if with_journal else []
    said = command("check", path, "--report", "report.html", "--output", "result.csv", *recorded)
    assert said.code == 1
    made = Path("report.html")
    text = made.read_text("utf-8")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert "5 items by outcome" in text
    assert "InvalidInputError" in text
    assert f"check at {reference.url}" in text
    assert "secret" not in text
    if with_journal:
        assert command("check", path, "--report", "again.html", "--output", "result.csv", *recorded).code == 1
        assert "outcomes are from an earlier run" in Path("again.html").read_text("utf-8")
        assert command("report", "run.sqlite", "--html", "report.html").code == 1


def test_a_check_that_stops_says_why(command: Command, signed_in: Any) -> None:
    signed_in.refuses_after = 0
    said = command("check", pairs_file("a,b", "c,d"), "--report", "report.html", "--output", "result.csv")
    assert said.code == 3
    text = Path("report.html").read_text("utf-8")
    assert "Stopped early:" in text
    assert "unprocessed" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dry-run"], "--report and --dry-run cannot be used together; omit one of them"),
        (["--cluster", "tcp://localhost:1"], "--report and --cluster cannot be used together"),
        (["--output", "report.html"], "the report cannot be written over the result"),
        (["--journal", "report.html"], "the report cannot be written over the journal"),
    ],
)
@pytest.mark.usefixtures("signed_in")
def test_options_that_conflict_are_refused(command: Command, options: list[str], message: str) -> None:
    said = command("check", pairs_file("a,b"), "--report", "report.html", *options)
    assert said.code == 2
    assert message in said.err
    assert not Path("report.html").exists()


@pytest.mark.usefixtures("signed_in")
def test_the_input_is_not_overwritten(command: Command) -> None:
    path = pairs_file("a,b")
    said = command("check", path, "--report", path)
    assert (said.code, "cannot be written over its own input" in said.err) == (2, True)
    assert "a,b" in path.read_text("utf-8")
