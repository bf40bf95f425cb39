"""A second signal, at any moment after the first: it may hurry the end, and takes nothing of what is said then."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections import cli
from aioconnections.cli import running
from aioconnections.cli.interrupts import Signals
from aioconnections.files.sheet import Sheet
from aioconnections.reference import Directory

DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
NEIGHBOURS = {person.userid for person, _ in DIRECTORY.neighbours(ME)}
STRANGERS = [person for person in OTHERS if person.userid not in NEIGHBOURS]

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Command = Callable[..., Any]
PairsFile = Callable[..., Path]
Once = Callable[[Callable[[], bool], Callable[[], object]], None]

RECORDED = ("--journal", "j.sqlite", "--max-per-second", 10)  # it lasts longer than it takes to see that it has begun


@pytest.fixture(autouse=True)
def me(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ME.userid))
    return signed_in


def people(count: int) -> str:
    return "".join(["userid\n", *(f'"{person.userid}"\n' for person in STRANGERS[:count])])


def meanwhile(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch, text: str = "") -> None:
    """A signal comes when `owner` does something for the first time, with `text` in the first argument."""
    call, moments = getattr(owner, name), [signal.SIGINT]

    def called(*arguments: Any, **options: Any) -> Any:
        here = threading.current_thread() is threading.main_thread()  # a server of an earlier test may be closing
        if here and text in str(arguments[0]) and moments:
            moments.clear()
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                call(*arguments, **options)  # it is not our own doing that is cut off
                raise
        return call(*arguments, **options)

    monkeypatch.setattr(owner, name, called)


MOMENTS: dict[str, tuple[Any, str, str]] = {
    "the loop is closed": (asyncio.Runner, "close", ""),
    "the rest is written": (Sheet, "finish", ""),
    "the summary": (running, "say", " in "),
    "interrupted": (cli, "say", "interrupted"),
    "to resume": (cli, "say", "to resume"),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_second_signal_takes_nothing_of_what_is_said(
    command: Command, pairs_file: PairsFile, me: Any, once: Once, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    once(lambda: len(me.app.commits) > 2, lambda: os.kill(os.getpid(), signal.SIGINT))
    with monkeypatch.context() as patch:
        owner, name, text = MOMENTS[moment]
        meanwhile(owner, name, patch, text)
        said = command("invite", pairs_file(people(20)), *RECORDED)
    assert said.code == 130
    *_, summary, interrupted, how = said.err.splitlines()
    assert " done in " in summary
    assert interrupted == "aioconnections: interrupted"
    assert how.startswith("aioconnections: to resume: ")
    again = command("invite", pairs_file(people(20)), "--journal", "j.sqlite")
    assert again.code == 0, again.err
    assert len(me.app.commits) == len({commit.target for commit in me.app.commits}) == 20


def test_a_signal_after_the_end_of_a_run_is_too_late(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(running, "say", monkeypatch)
    said = command("invite", pairs_file(people(3)), "--no-journal")
    assert (said.code, len(said.rows)) == (0, 3)
    assert said.err.startswith("3 done in ")


def test_who_waits_for_a_reader_can_be_interrupted(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(Sheet, "finish", monkeypatch)
    said = command("invite", pairs_file(people(3)), "--journal", "j.sqlite")
    assert said.code == 130
    assert [line.partition(" ")[2][:11] for line in said.err.splitlines()[1:]] == ["interrupted", "to resume: "]


def test_a_run_that_has_not_begun_ends_with_the_first(
    command: Command, pairs_file: PairsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(running, "count_rows", monkeypatch)
    said = command("invite", pairs_file(people(3)), "--journal", "j.sqlite")
    assert (said.code, said.err) == (130, "aioconnections: interrupted\n")


def raised(call: Callable[[], object]) -> bool:
    try:
        call()
    except KeyboardInterrupt:
        return True
    return False


def test_the_first_signal_stops_a_run_and_every_later_one_ends_it_at_once() -> None:
    handlers = [signal.getsignal(number) for number in NUMBERS]
    calls: list[str] = []
    try:
        signals = Signals.installed()
        with signals.during_run(lambda: calls.append("stop"), lambda: calls.append("stop at once")):
            signal.raise_signal(signal.SIGINT)
            assert signals.count == 1
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert signals.at_once
        assert calls == ["stop", "stop at once", "stop at once"]
        assert raised(lambda: signal.raise_signal(signal.SIGTERM))
        assert not raised(lambda: signal.raise_signal(signal.SIGTERM)), "once is enough"
    finally:
        for number, handler in zip(NUMBERS, handlers, strict=True):
            signal.signal(number, handler)


def test_a_closed_terminal_is_one_signal_however_often_it_is_sent() -> None:
    """The kernel sends SIGHUP to a job, and so does its shell."""
    handlers = [signal.getsignal(number) for number in NUMBERS]
    calls: list[str] = []
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup
        signals = Signals.installed()
        with signals.during_run(lambda: calls.append("stop"), lambda: calls.append("stop at once")):
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
            assert calls == ["stop"]
            signal.raise_signal(signal.SIGTERM)
            assert calls == ["stop", "stop at once"]
    finally:
        for number, handler in zip(NUMBERS, handlers, strict=True):
            signal.signal(number, handler)


def test_a_blocking_call_is_interrupted_by_the_second_signal_alone() -> None:
    handlers = [signal.getsignal(number) for number in NUMBERS]
    signals = Signals.installed()
    raise_signal = signals.interruptible(signal.raise_signal)
    try:
        with signals.during_run(lambda: None, lambda: None):
            raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)  # not in a blocking call
            assert not raised(lambda: signal.raise_signal(signal.SIGTERM))
            assert raised(lambda: raise_signal(signal.SIGTERM))
    finally:
        for number, handler in zip(NUMBERS, handlers, strict=True):
            signal.signal(number, handler)


LATE = """
import {module}, os, signal
def late():
    os.kill(os.getpid(), signal.SIGINT)
{module}.{register}(late)
from aioconnections.__main__ import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("module", "register"), [("threading", "_register_atexit"), ("atexit", "register")])
def test_a_process_that_ends_does_not_die_of_the_second(
    pairs_file: PairsFile, me: Any, module: str, register: str
) -> None:
    script = LATE.format(module=module, register=register)
    line = [sys.executable, "-c", script, "invite", str(pairs_file(people(20))), *map(str, RECORDED)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as invite:
        try:
            while not me.app.commits:
                assert invite.poll() is None
            invite.send_signal(signal.SIGINT)
            _, err = invite.communicate(timeout=60)
        finally:
            invite.kill()
    assert invite.returncode == 130
    assert err.splitlines()[-1].startswith("aioconnections: to resume: ")
