"""The live view of a long run: its screens at several sizes, drawn from reports with invented times."""

from __future__ import annotations

import io
import os
import re
import signal
from collections.abc import Callable, Generator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest
from attrs import define, evolve, field
from screen import Screen

from aioconnections import Checked, Email, Pair, Progress, Stats, Tally, Unprocessed, Wait
from aioconnections.cli.bar import Watched, progress
from aioconnections.cli.frame import Piece, fitted
from aioconnections.cli.meter import Meter, TimeLeft, Times
from aioconnections.cli.progress import say

PAIR = Pair(Email("ann@example.com"), Email("bob@example.com"))
CHECKED = Checked(None, pair=PAIR, attempts=1, elapsed=0.084, waited=0.1)


class Console(io.StringIO):
    """A terminal on which a `Screen` shows what is written."""

    def __init__(self, columns: int, encoding: str) -> None:
        super().__init__()
        self.screen = Screen(columns)
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override] # a text stream has one
        return self._encoding

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        text.encode(self._encoding)  # fails if this terminal cannot show it
        self.screen.feed(text.replace("\n", "\r\n"))  # as the terminal driver does
        return len(text)


def tally_of(finished: int) -> Tally:
    rejected, accepted, pending = finished // 100, finished // 4, finished // 20
    return Tally(
        read=finished + 15,
        in_flight=15,
        checked=finished - rejected,
        rejected=rejected,
        status_accepted=accepted,
        status_pending=pending,
        status_none=finished - rejected - accepted - pending,
    )


STATS = Stats(
    attempts=0,
    responses={},
    failures={},
    retries=12,
    retries_left=30,
    probes=0,
    under_way=15,
    bound=16,
    max_connections=16,
    max_per_second=100.0,
    waiting_for_server=False,
)
PAUSE = Wait(reason="pause", pause=30.0, left=12.0)
OUTAGE = Wait(reason="server", lasted=12.0, probe_in=4.0, left=288.0)


@define
class Story:
    """A run on invented time. Its requests take 84 ms, but every tenth takes 210 ms."""

    terminal: Console
    meter: Meter = field(factory=Meter)
    stats: Stats = STATS
    note: str | None = None
    now: float = 0.0
    finished: int = 0
    done: bool = False
    show: Callable[[Progress], object] = lambda _: None

    @property
    def shown(self) -> str:
        return self.terminal.screen.text

    def goes_on(self, seconds: float, *, per_second: int = 97) -> None:
        """Time passes, with a report every half second."""
        for _ in range(round(2 * seconds)):
            count = round((self.now + 0.5) * per_second) - round(self.now * per_second)
            self.now += 0.5
            for number in range(count):
                self.meter.add(evolve(CHECKED, elapsed=0.21 if number % 10 == 0 else 0.084))
            self.finished += count
            self.tells(attempts=self.stats.attempts + count)

    def waits(self, seconds: float, wait: Wait, **stats: Any) -> None:
        """Nothing is sent for a while, at whose end the wait is this one."""
        for step in range(round(2 * seconds) - 1, -1, -1):
            self.now += 0.5
            at = evolve(wait, left=None if wait.left is None else wait.left + step / 2)
            self.tells(under_way=0, wait=at, waiting_for_server=wait.reason != "login", **stats)

    def tells(self, **changed: Any) -> None:
        self.stats = evolve(self.stats, **{"wait": None, "under_way": 15, "waiting_for_server": False} | changed)
        self.show(
            Progress(
                tally=tally_of(self.finished),
                elapsed=self.now,
                rate=97.0,
                max_per_second=self.stats.max_per_second,
                waiting_for_server=self.stats.waiting_for_server,
                done=self.done,
            )
        )


class Stage:
    """Begins stories, each on a terminal of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, views: ExitStack) -> None:
        self._monkeypatch = monkeypatch
        self._views = views

    def begins(
        self,
        columns: int,
        rows: int = 24,
        *,
        total: int | None = 1_000_000,
        encoding: str = "utf-8",
        has_client: bool = True,
        unreadable: int = 0,
    ) -> Story:
        story = Story(Console(columns, encoding))
        self._monkeypatch.setattr("sys.stderr", story.terminal)
        self._monkeypatch.setenv("TERM", "xterm-256color")
        self.resize(columns, rows)
        stats = (lambda: story.stats) if has_client else None
        watched = Watched(meter=story.meter, stats=stats, note=lambda: story.note)
        view = progress(total, doing="checking", watched=watched, unreadable=lambda: unreadable)
        show = self._views.enter_context(view)
        assert show is not None
        story.show = show
        return story

    def resize(self, columns: int, rows: int = 24) -> None:
        self._monkeypatch.setenv("COLUMNS", str(columns))
        self._monkeypatch.setenv("LINES", str(rows))

    def ends(self) -> None:
        """The runs of all stories end."""
        self._views.close()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Generator[Stage]:
    with ExitStack() as views:
        yield Stage(monkeypatch, views)


def normal(story: Story) -> None:
    story.goes_on(60)


def pause(story: Story) -> None:
    story.goes_on(60)
    story.waits(20, PAUSE, bound=8, paced=50.0)


def outage(story: Story) -> None:
    story.goes_on(60)
    story.waits(12, OUTAGE)


SCREENS = {
    ("normal", 40): """\
checking ━━━━╺━━━━━━ 40%   0:01:30 left
5,820/14,550   97 of 100/s   15/16
p50 83 ms   p95 200 ms   12 retries
accepted 1,455   none 4,016
rejected 58""",
    ("normal", 80): """\
checking ━━━━━━━━━━━━━━━━━━━━╺━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 40%   0:01:30 left
5,820 of 14,550 done   97 of 100/s   15 of 16 connections
p50 83 ms   p95 200 ms   12 retries
accepted 1,455   pending 291   none 4,016
rejected 58""",
    ("normal", 120): """\
checking ━━━━━━━━━━━━━━━━━━━━━━━━╺━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 40%   0:01:30 left
5,820 of 14,550 done   97 of 100/s   15 of 16 connections
p50 83 ms   p95 200 ms   12 retries
accepted 1,455   pending 291   none 4,016
rejected 58""",
    ("pause", 40): """\
checking ━━━━╺━━━━━━ 40%   0:01:42 left
5,820/14,550   0 of 50/s paced   0/8
p50 83 ms   p95 200 ms   12 retries
accepted 1,455   none 4,016
rejected 58
paused: Retry-After 30 s, 12 s left""",
    ("pause", 80): """\
checking ━━━━━━━━━━━━━━━━━━━━╺━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 40%   0:01:42 left
5,820 of 14,550 done   0 of 50/s, paced by the server   0 of 8 connections
p50 83 ms   p95 200 ms   12 retries
accepted 1,455   pending 291   none 4,016
rejected 58
paused: the server asked for 30 s (Retry-After), 12 s left""",
    ("pause", 120): """\
checking ━━━━━━━━━━━━━━━━━━━━━━━━╺━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 40%   0:01:42 left
5,820 of 14,550 done   0 of 50/s, paced by the server   0 of 8 connections, lowered from 16
p50 83 ms   p95 200 ms   12 retries
accepted 1,455   pending 291   none 4,016
rejected 58
paused: the server asked for 30 s (Retry-After), 12 s left""",
    ("outage", 40): """\
checking ━━━━━━╸━━━━━━━━━━ 40%   ? left
5,820/14,550   0 of 100/s   0/16
p50 83 ms   p95 200 ms   12 retries
accepted 1,455   none 4,016
rejected 58
server away 12 s, ends in 0:04:48""",
    ("outage", 80): """\
checking ━━━━━━━━━━━━━━━━━━╺━━━━━━━━━━━━━━━━━━━━━━━━━━━ 40%   time left unknown
5,820 of 14,550 done   0 of 100/s   0 of 16 connections
p50 83 ms   p95 200 ms   12 retries
accepted 1,455   pending 291   none 4,016
rejected 58
server unavailable for 12 s, next probe in 4 s, gives up in 0:04:48""",
    ("outage", 120): """\
checking ━━━━━━━━━━━━━━━━━━━━━━━━╺━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 40%   time left unknown
5,820 of 14,550 done   0 of 100/s   0 of 16 connections
p50 83 ms   p95 200 ms   12 retries
accepted 1,455   pending 291   none 4,016
rejected 58
server unavailable for 12 s, next probe in 4 s, gives up in 0:04:48""",
}


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("tells", [normal, pause, outage])
def test_screens(stage: Stage, columns: int, tells: Callable[[Story], None]) -> None:
    story = stage.begins(columns, total=14_550)
    tells(story)
    assert all(len(line) < columns for line in story.terminal.screen.lines)
    assert story.shown == SCREENS[tells.__name__, columns]
    assert not story.terminal.screen.is_cursor_visible
    stage.ends()
    assert (story.shown, story.terminal.screen.is_cursor_visible) == ("", True)


def test_nothing_is_shown_of_a_run_of_less_than_two_seconds(stage: Stage) -> None:
    story = stage.begins(80)
    story.goes_on(1.5)
    story.done, story.now = True, 1.9
    story.tells()
    stage.ends()
    assert story.terminal.screen.lines == [""]
    assert story.terminal.screen.colours == []


def test_messages_are_printed_above_the_view(stage: Stage) -> None:
    story = stage.begins(40)
    say("line 2: no source")
    story.goes_on(3)
    say("line 7: no target")
    story.goes_on(1)
    lines = story.shown.splitlines()
    assert lines[:2] == ["line 2: no source", "line 7: no target"]
    assert len([line for line in lines if line.startswith("checking")]) == 1
    stage.ends()
    assert story.shown == "line 2: no source\nline 7: no target"


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        (24, ["checking", "5,820", "p50", "accepted", "rejected", "paused"]),
        (5, ["checking", "5,820", "rejected", "paused"]),
        (3, ["5,820", "paused"]),
        (2, ["paused"]),
        (1, ["paused"]),
    ],
)
def test_a_low_terminal_shows_the_most_important_lines(stage: Stage, rows: int, shown: list[str]) -> None:
    story = stage.begins(80, rows)
    pause(story)
    assert [re.match(r"[\w,]+", line)[0] for line in story.shown.splitlines()] == shown  # type: ignore[index] # else it fails


@pytest.mark.slow
@pytest.mark.parametrize("tells", [normal, pause, outage])
def test_no_width_cuts_a_number(stage: Stage, tells: Callable[[Story], None]) -> None:
    story = stage.begins(200, total=14_550)
    tells(story)
    numbers = {*re.findall(r"[\d,.:]*\d", story.shown)}
    for columns in range(2, 130):
        stage.resize(columns)
        story.tells(wait=story.stats.wait, under_way=story.stats.under_way)
        assert [line for line in story.terminal.screen.lines if len(line) >= columns] == [], columns
        assert {*re.findall(r"[\d,.:]*\d", story.shown)} <= numbers


def test_a_terminal_of_ten_columns(stage: Stage) -> None:
    story = stage.begins(10)
    pause(story)
    assert story.shown == "0%\n5,820\npaused"


def test_a_terminal_whose_size_changes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "VTE_VERSION"):
        monkeypatch.delenv(name, raising=False)
    story = stage.begins(120)
    say("line 2: no source")
    story.goes_on(5)
    for columns in (60, 40, 100):
        stage.resize(columns)
        story.goes_on(1)
        assert all(len(line) < columns for line in story.terminal.screen.lines[1:])
        assert story.shown.startswith("line 2: no source\nchecking ━")
        assert len(story.shown.splitlines()) == 6


def test_after_a_terminal_became_narrower_the_rows_of_long_lines_are_erased(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX", "default,1,0")
    story = stage.begins(80)
    story.goes_on(5)
    screen = story.terminal.screen
    reflowed = [line[at : at + 40] for line in screen.lines for at in range(0, max(len(line), 1), 40)]
    assert len(reflowed) == 7
    screen.clear()
    screen.feed("before\r\n" + "\r\n".join(reflowed))
    stage.resize(40)
    story.goes_on(0.5)
    assert story.shown.startswith("before\nchecking ━")
    assert len(story.shown.splitlines()) == 6


def test_a_terminal_without_unicode(stage: Stage) -> None:
    story = stage.begins(80, encoding="ascii")
    normal(story)
    assert story.shown.startswith("checking ---")


def test_without_a_total_the_time_left_is_unknown(stage: Stage) -> None:
    story = stage.begins(80, total=None)
    story.goes_on(60)
    assert story.shown.startswith("checking   for 0:01:00   time left unknown\n5,820 done   97 of 100/s")


@pytest.mark.parametrize(
    ("stats", "shown"),
    [
        ({"max_per_second": None}, "97/s, no limit"),
        ({"paced": 12.5}, "97 of 12/s, paced by the server"),
        ({"max_per_second": 0.5}, "97 of 0.5/s"),
        ({"bound": 4}, "15 of 4 connections, lowered from 16"),
    ],
)
def test_the_rate_and_its_limits(stage: Stage, stats: dict[str, Any], shown: str) -> None:
    story = stage.begins(120)
    story.goes_on(5)
    story.tells(**stats)
    assert f"   {shown}" in story.shown.splitlines()[1]


@pytest.mark.parametrize(
    ("wait", "shown"),
    [
        (Wait(reason="login"), "waiting for the login"),
        (Wait(reason="pause", left=7.0), "paused: the server asked another process for it, 7 s left"),
        (evolve(OUTAGE, probe_in=0.0), "server unavailable for 12 s, probing, gives up in 0:04:48"),
        (evolve(OUTAGE, reason="profiles", left=None), "Profiles unavailable for 12 s, next probe in 4 s"),
        (Wait(reason="shared", lasted=3.0, left=297.0), "shared store unavailable for 3 s, gives up in 0:04:57"),
    ],
)
def test_reasons_to_wait(stage: Stage, wait: Wait, shown: str) -> None:
    story = stage.begins(80)
    story.goes_on(5)
    story.waits(0.5, wait)
    assert story.shown.splitlines()[-1].startswith(shown)


def test_a_slow_journal_shows(stage: Stage) -> None:
    story = stage.begins(80)
    story.note = "waiting for the journal: its disk has been writing for 3 s"
    story.goes_on(5)
    assert story.shown.splitlines()[-1] == story.note


@pytest.mark.parametrize(("in_flight", "total"), [(0, None), (1, None), (0, 9)])
def test_a_pipe_without_rows_shows(stage: Stage, in_flight: int, total: int | None) -> None:
    story = stage.begins(80, total=total)
    tally = Tally(read=5 + in_flight, checked=5, in_flight=in_flight)
    story.show(Progress(tally=tally, elapsed=3.0, rate=1.0, max_per_second=None))
    waits = story.shown.endswith("\nwaiting for rows of the input")
    assert waits is (in_flight == 0 and total is None)


def test_outcomes_of_an_earlier_run_count_apart_and_do_not_change_the_rate(stage: Stage) -> None:
    story = stage.begins(120, total=20_000)
    for _ in range(10_000):
        story.meter.add(evolve(CHECKED, replayed=True))
    story.finished = 10_000
    story.goes_on(10)
    head, counts, *_ = story.shown.splitlines()
    assert counts.startswith("10,970 of 20,000 done   10,000 from an earlier run   97 of 100/s")
    assert head.endswith("54%   0:01:33 left")


def test_a_run_without_a_client_shows_its_rows(stage: Stage) -> None:
    story = stage.begins(120, has_client=False, unreadable=2)
    story.goes_on(5)
    lines = story.shown.splitlines()
    assert lines[1] == "485 of 1,000,000 done   97 of 100/s"
    assert lines[-1] == "rejected 4   unreadable 2"


def test_runs_of_no_and_of_one_item(stage: Stage) -> None:
    for total, finished, shown in ((0, 0, "100%"), (1, 0, "0%   0 s left"), (1, 1, "100%")):
        story = stage.begins(80, total=total)
        story.finished = finished
        story.show(Progress(tally=Tally(read=1, in_flight=1 - finished), elapsed=3.0, rate=0.0, max_per_second=100.0))
        if total:
            assert story.shown.splitlines()[0].endswith(shown)


def test_the_time_left_does_not_jump() -> None:
    left, total, finished, shown = TimeLeft(), 100_000, 0, []
    for step in range(1, 400):
        finished += (20, 80)[step // 20 % 2]  # bursts of ten seconds
        shown.append(
            left.note(
                step / 2, total=total, finished=finished, replayed=0, limit=None, requests=finished, waiting=False
            )
        )
    changes = [abs((later or 0) - (earlier or 0)) for earlier, later in pairwise(shown[80:])]
    assert max(changes) < 0.03 * (shown[80] or 0)


def test_a_slow_beginning_does_not_spoil_the_time_left() -> None:
    """The login takes three seconds, and then an earlier run is replayed."""
    left = TimeLeft()
    arguments: dict[str, Any] = {"total": 1_200, "limit": 100.0, "requests": None}
    for step in range(1, 7):
        assert left.note(step / 2, finished=0, replayed=0, waiting=step < 5, **arguments) == 12
    assert left.note(3.5, finished=201, replayed=200, waiting=False, **arguments) == pytest.approx(499.5)
    shown = [
        left.note(3.5 + step / 2, finished=201 + 50 * step, replayed=200, waiting=False, **arguments)
        for step in range(1, 5)
    ]
    assert shown[-1] == pytest.approx(10, rel=0.3)


def test_a_wait_does_not_change_the_time_of_the_work_that_is_left() -> None:
    left = TimeLeft()
    arguments: dict[str, Any] = {"total": 10_000, "replayed": 0, "limit": 100.0, "requests": None}
    before = [left.note(step / 2, finished=50 * step, waiting=False, **arguments) for step in range(1, 21)]
    after = [left.note(step / 2, finished=1_000, waiting=True, **arguments) for step in range(21, 200)]
    assert before[-1] == after[-1] == pytest.approx(90, rel=0.01)


def test_lists_may_be_faster_than_the_limit_of_requests() -> None:
    left = TimeLeft()
    arguments: dict[str, Any] = {"total": 100_000, "replayed": 0, "limit": 10.0, "waiting": False}
    shown = [left.note(step / 2, finished=500 * step, requests=5 * step, **arguments) for step in range(1, 41)]
    assert shown[-1] == pytest.approx(80, rel=0.05)


def test_percentiles_of_the_last_seconds_and_of_the_whole_run() -> None:
    times = Times()
    assert times.overall(0.5) == times.recent(0.5) == ()
    for second in range(120):
        for number in range(1, 101):
            times.add(number / 1_000 * (1 if second < 60 else 10))
        times.mark(float(second))
    assert times.recent(0.5, 0.95) == pytest.approx((0.5, 0.95), rel=0.03)
    assert times.overall(0.25, 0.95) == pytest.approx((0.0455, 0.9), rel=0.03)
    times.add(0.0)
    times.add(1e9)
    assert times.overall(0.0, 1.0) == pytest.approx((1e-4, 1e4), rel=0.06)


def test_memory_does_not_grow_with_the_run() -> None:
    times = Times()
    for step in range(20_000):
        times.add(0.1)
        times.mark(step / 2)
    assert len(times._marks) == 61


def test_items_without_a_request_are_not_measured() -> None:
    meter = Meter()
    for outcome in (CHECKED, evolve(CHECKED, attempts=0), evolve(CHECKED, replayed=True), Unprocessed("x", attempts=1)):
        meter.add(outcome)
    assert (meter.sent, meter.replayed, meter.waited) == (1, 1, 0.1)


def test_parts_are_shortened_before_they_are_left_out() -> None:
    parts = [Piece(("one of many", "one"), 1), Piece(("two", "2"), 2), Piece((), 3)]
    assert [fitted(parts, width) for width in (17, 16, 9, 8, 6, 1, 0)] == [
        "one of many   two",
        "one   two",
        "one   two",
        "one   2",
        "2",
        "2",
        "",
    ]


def test_ctrl_z_erases_the_view_and_shows_the_cursor(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[tuple[str, bool]] = []
    story = stage.begins(80)
    say("line 2: no source")
    story.goes_on(5)
    screen = story.terminal.screen

    def stop(number: int) -> None:  # in place of the kernel, which would stop the tests
        assert signal.getsignal(number) is signal.SIG_DFL
        stopped.append((story.shown, screen.is_cursor_visible))

    monkeypatch.setattr(signal, "raise_signal", stop)
    os.kill(os.getpid(), signal.SIGTSTP)
    assert stopped == [("line 2: no source", True)]
    story.goes_on(1)
    assert story.shown.startswith("line 2: no source\nchecking")
    assert not screen.is_cursor_visible
    os.kill(os.getpid(), signal.SIGTSTP)
    stage.ends()
    assert len(stopped) == 2
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


def test_ctrl_z_while_the_view_is_drawn(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []
    story = stage.begins(80)
    story.goes_on(5)
    monkeypatch.setattr(signal, "raise_signal", lambda _: stopped.append(story.shown))
    flush = story.terminal.flush

    def press() -> None:
        monkeypatch.setattr(story.terminal, "flush", flush)
        os.kill(os.getpid(), signal.SIGTSTP)

    monkeypatch.setattr(story.terminal, "flush", press)
    story.goes_on(0.5)
    assert stopped == [""]


def test_a_run_in_the_background_draws_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    story = stage.begins(80)
    monkeypatch.setattr(story.terminal, "fileno", lambda: 2)
    monkeypatch.setattr("os.tcgetpgrp", lambda _: os.getpgrp() + 1)
    story.goes_on(5)
    assert story.shown == ""
    monkeypatch.setattr("os.tcgetpgrp", lambda _: os.getpgrp())
    story.goes_on(0.5)
    assert story.shown.startswith("checking")
