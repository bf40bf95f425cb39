"""A check with a journal, run again: yesterday's answers are not given as today's; and a journal whose log is lost."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aioconnections.cli import writing
from aioconnections.journal import Journal, report
from aioconnections.reference import Directory, Fault

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
Command = Callable[..., Any]
AT = datetime(2026, 7, 28, 12, tzinfo=UTC)
JOURNAL = ("--journal", "j.sqlite")


class Clock(datetime):
    """A date whose present is set."""

    present = AT

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.present.astimezone(tz)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the wall clock of the journal and of the summary."""

    def put(moment: datetime) -> None:
        Clock.present = moment
        monkeypatch.setattr("time.time", moment.timestamp)

    monkeypatch.setattr(writing, "datetime", Clock)
    put(AT)
    return put


@pytest.fixture(autouse=True)
def me(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ME.userid))
    return signed_in


def pairs(count: int = 8) -> Path:
    with Path("pairs.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("source_userid", "target_userid"))
        writer.writerows((ME.userid, other.userid) for other in OTHERS[:count])
    return Path("pairs.csv")


def asked(me: Any) -> int:
    return int(me.app.requests.by_path["/profiles/atom/connection.do"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "later", "anew"),
    [
        ((), timedelta(minutes=59), False),
        ((), timedelta(hours=1), True),
        ((), timedelta(days=1), True),
        (("--max-age", "90m"), timedelta(minutes=89), False),
        (("--max-age", "5400"), timedelta(minutes=91), True),
        (("--max-age", "2d"), timedelta(days=1), False),
        (("--fresh",), timedelta(0), True),
        (("--resume",), timedelta(days=400), False),
    ],
)
def test_a_finished_check_is_asked_anew_unless_it_is_young_enough(
    command: Command, me: Any, at: Callable[[datetime], None], options: tuple[str, ...], later: timedelta, *, anew: bool
) -> None:
    first = command("check", pairs(), *JOURNAL, "--ordered")
    assert (first.code, asked(me)) == (0, 8)
    assert {row["recorded_at"] for row in first.rows} == {AT.isoformat()}
    at(AT + later)
    again = command("check", pairs(), *JOURNAL, "--ordered", *options)
    assert (again.code, asked(me)) == (0, 16 if anew else 8)
    assert {row["recorded_at"] for row in again.rows} == {(AT + later if anew else AT).isoformat()}
    kept = "aioconnections: the journal of a finished run is kept as j.sqlite.1; all rows are checked again\n"
    assert (kept in again.err, Path("j.sqlite.1").exists()) == (anew, anew)
    assert ("earlier run" in again.err) is not anew
    assert command("report", "j.sqlite").rows[0]["outcome_at"] == again.rows[0]["recorded_at"]
    if anew:
        assert command("report", "j.sqlite.1").rows[0]["outcome_at"] == AT.isoformat()


@pytest.mark.parametrize(
    ("later", "age"),
    [
        (timedelta(seconds=50), "50 s"),
        (timedelta(minutes=40), "40 min"),
        (timedelta(hours=26), "26 h"),
        (timedelta(days=3), "3 days"),
    ],
)
def test_the_summary_says_how_old_replayed_answers_are(
    command: Command, at: Callable[[datetime], None], later: timedelta, age: str
) -> None:
    command("check", pairs(), *JOURNAL)
    at(AT + later)
    again = command("check", pairs(), *JOURNAL, "--resume")
    assert f"; 8 of these from an earlier run; outcomes of an earlier run are {age} old\n" in again.err


def test_a_check_that_was_cut_short_goes_on_and_says_how_old_its_answers_are(
    command: Command, me: Any, at: Callable[[datetime], None]
) -> None:
    me.app.faults = [Fault("refuse", status=503, operation="check", person=OTHERS[number]) for number in range(4, 8)]
    assert command("check", pairs(), *JOURNAL, "--max-outage", 0).code == 75
    me.app.faults = []
    at(AT + timedelta(days=2))
    said = command("check", pairs(), *JOURNAL, "--ordered")
    assert said.code == 0
    assert [row["recorded_at"] for row in said.rows[:4]] == [AT.isoformat()] * 4
    assert "; 4 of these from an earlier run; outcomes of an earlier run are 2 days old\n" in said.err


def test_answers_that_are_too_old_are_not_given_while_the_server_is_away(
    command: Command, me: Any, at: Callable[[datetime], None]
) -> None:
    command("check", pairs(), *JOURNAL)
    me.app.faults = [Fault("refuse", status=503)]
    at(AT + timedelta(minutes=30))
    young = command("check", pairs(), *JOURNAL)
    assert (young.code, {row["recorded_at"] for row in young.rows}) == (75, {AT.isoformat()})
    at(AT + timedelta(days=1))
    old = command("check", pairs(), *JOURNAL)
    assert (old.code, {row["status"] for row in old.rows}) == (75, {""})
    assert {row["recorded_at"] for row in old.rows} == {""}
    assert not Path("j.sqlite.1").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fresh", "--resume"), "--fresh and --resume cannot be used together; use one of them"),
        (("--max-age", "1h", "--fresh"), "--max-age and --fresh cannot be used together; use one of them"),
        (("--max-age", "0", "--resume"), "--max-age and --resume cannot be used together; use one of them"),
        (("--max-age", "yesterday"), "it must be a number of seconds, or one with the unit s, m, h or d"),
        (("--max-age", "-1"), "it must be a number of seconds, or one with the unit s, m, h or d"),
    ],
)
def test_options_that_contradict_each_other(command: Command, options: tuple[str, ...], message: str) -> None:
    said = command("check", pairs(), *JOURNAL, *options)
    assert said.code == 2
    assert message in " ".join(said.err.split())
    assert not Path("j.sqlite").exists()


def test_an_age_needs_a_journal(command: Command) -> None:
    said = command("check", pairs(), "--fresh")
    assert said.code == 2
    assert "--fresh needs --journal" in said.err


def test_a_run_without_a_journal_has_no_column_for_dates(command: Command) -> None:
    assert "recorded_at" not in command("check", pairs()).rows[0]


def test_a_report_says_that_a_run_is_finished(command: Command, at: Callable[[datetime], None]) -> None:
    del at
    command("check", pairs(), *JOURNAL)
    assert ", finished 2026-07-28 12:00:00 UTC: 8 read" in command("report", "j.sqlite").err


def test_a_journal_without_its_log_is_refused_until_the_log_is_given_up(
    command: Command, me: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [person for person in OTHERS if DIRECTORY.status(ME, person) is None][:5]
    Path("people.csv").write_text("userid\n" + "".join(f"{person.userid}\n" for person in people[:3]), "utf-8")
    close = Journal.aclose

    async def killed(self: Journal) -> None:
        shutil.copy("j.sqlite", "killed.sqlite")  # and not its log
        await close(self)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "aclose", killed)
        assert command("invite", "people.csv", *JOURNAL).code == 0
    shutil.move("killed.sqlite", "j.sqlite")
    Path("people.csv").write_text("userid\n" + "".join(f"{person.userid}\n" for person in people), "utf-8")
    for words in (("invite", "people.csv", *JOURNAL, "--settle", 0), ("report", "j.sqlite")):
        said = command(*words)
        assert (said.code, said.out) == (2, "")
        assert "its log, j.sqlite-wal, is missing or empty" in said.err
        assert "--lost-log in-doubt" in said.err
    said = command("invite", "people.csv", *JOURNAL, "--settle", 0, "--lost-log", "in-doubt", "--ordered")
    assert (said.code, [row["outcome"] for row in said.rows]) == (1, [*["invited"] * 3, *["in_doubt"] * 2])
    assert "the log of the journal was lost" in said.rows[3]["error"]
    assert len(me.app.commits) == 3
    with report("j.sqlite") as run:
        assert (run.tally.invited, run.tally.in_doubt) == (3, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["j.sqlite", "j.sqlite-wal", "j.sqlite-shm", "j.sqlite.lock", "j.sqlite.1", "j.sqlite.12-wal", "linked"]
)
def test_the_result_is_not_written_over_what_belongs_to_the_journal(command: Command, name: str) -> None:
    command("check", pairs(), *JOURNAL)
    command("check", pairs(), *JOURNAL, "--fresh")
    Path("linked").hardlink_to("j.sqlite.1")
    before = {file.name: file.read_bytes() for file in Path().iterdir()}
    for words in (("check", pairs(), *JOURNAL), ("report", "j.sqlite"), ("check", pairs(), *JOURNAL, "--dry-run")):
        said = command(*words, "-o", name)
        assert said.code == 2
        assert "the result cannot be written over the journal" in said.err
    assert {file.name: file.read_bytes() for file in Path().iterdir()} == before


@pytest.mark.parametrize("name", ["other.sqlite", "other.sqlite.lock", "link"])
def test_the_result_is_not_written_over_another_journal(command: Command, name: str) -> None:
    command("check", pairs(), "--journal", "other.sqlite")
    Path("link").symlink_to("other.sqlite")
    before = {file.name: file.read_bytes() for file in Path().iterdir()}
    for words in (("check", pairs()), ("check", pairs(), *JOURNAL)):
        said = command(*words, "-o", name)
        assert said.code == 2
        assert "is a journal, or belongs to one: the result cannot be written over it" in said.err
    assert {file.name: file.read_bytes() for file in Path().iterdir()} == before
