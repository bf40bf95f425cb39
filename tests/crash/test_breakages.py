"""A test of the test: a journal that does less than it should is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from attrs import evolve
from crash_verdict import complaints
from killing import Moment, Plan, Site, live, log_of, refused, strangers

from aioconnections.reference import Directory
from aioconnections.reference.server import listening_in_thread

pytestmark = [pytest.mark.slow, pytest.mark.skipif("sys.platform == 'win32'", reason="there is no SIGKILL")]

DIRECTORY = Directory.generate(people=300, seed=6)
LIVES = (Moment("commit", 5), Moment("post", 5), Moment("check", 1), Moment("commit", 9))


def noticed(folder: Path, breakage: str | None, *, settle: float = 0.0) -> set[str]:
    """What is complained of after a few lives with this journal."""
    site = Site(DIRECTORY, folder / "commits")
    user = str(DIRECTORY.people[0].userid)
    plan = Plan(
        items=strangers(DIRECTORY, 40), folder=folder, user=user, settle=settle, max_connections=3, breakage=breakage
    )
    with listening_in_thread(cast("Any", site)) as url:
        told = [live(plan, site, url, *ends) for ends in (*((end, Moment("post", 12)) for end in LIVES), ())]
    return {complaint.kind for complaint in complaints(plan, site, told)}


def test_a_journal_that_is_as_it_should_be(tmp_path: Path) -> None:
    assert noticed(tmp_path, None) == set()


def test_no_intent_is_recorded(tmp_path: Path) -> None:
    assert "invited twice" in noticed(tmp_path, "no_intent")


def test_what_is_in_doubt_is_sent_again_blindly(tmp_path: Path) -> None:
    assert "invited twice" in noticed(tmp_path, "resend_blindly")


def test_what_is_in_doubt_is_forgotten(tmp_path: Path) -> None:
    assert "invited twice" in noticed(tmp_path, "forget_doubt")


def test_what_is_in_doubt_is_taken_for_done(tmp_path: Path) -> None:
    assert noticed(tmp_path, "skip_in_doubt") >= {"in doubt", "unreported"}


def without_logs(folder: Path, breakage: str | None) -> set[str]:
    """What is complained of after a run that was killed, and lost its log."""
    site = Site(DIRECTORY, folder / "commits")
    user = str(DIRECTORY.people[0].userid)
    plan = Plan(items=strangers(DIRECTORY, 20), folder=folder, user=user, settle=0.0, max_connections=3)
    with listening_in_thread(cast("Any", site)) as url:
        told = [live(plan, site, url, Moment("answer", 12))]
        log_of(plan.journal).unlink()
        if breakage is None:
            assert "JournalLogMissingError" in refused(plan, site, url)
            return set()
        told.append(live(evolve(plan, breakage=breakage), site, url))
    return {complaint.kind for complaint in complaints(plan, site, told)}


def test_a_log_that_is_lost_is_ignored(tmp_path: Path) -> None:
    for breakage, kinds in ((None, set[str]()), ("ignore_log", {"invited twice"})):
        (folder := tmp_path / str(breakage)).mkdir()
        assert without_logs(folder, breakage) >= kinds


def test_what_is_in_doubt_is_asked_after_too_early(tmp_path: Path) -> None:
    assert noticed(tmp_path, "hurry", settle=3600.0) == {"too early"}
