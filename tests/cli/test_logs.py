from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from aioconnections.cli.logs import logged

LOG = logging.getLogger("aioconnections")


@pytest.mark.parametrize(
    ("level", "shown"),
    [("debug", ["DEBUG a", "INFO b", "WARNING c"]), ("info", ["INFO b", "WARNING c"]), ("warning", ["WARNING c"])],
)
def test_records_from_a_level_on_are_said(capsys: pytest.CaptureFixture[str], level: Any, shown: list[str]) -> None:
    before = (LOG.level, [*LOG.handlers])
    with logged(level):
        LOG.debug("a")
        LOG.info("b")
        LOG.warning("c")
    LOG.warning("nobody listens any more")
    assert [line.split(maxsplit=2)[2] for line in capsys.readouterr().err.splitlines()] == shown
    assert (LOG.level, LOG.handlers) == before


def test_without_being_asked_nothing_is_logged(start: Callable[..., subprocess.Popen[str]], signed_in: Any) -> None:
    del signed_in
    check = start("profile", "--userid", "a", "--user", "nobody")  # Python itself would show warnings
    _, err = check.communicate(timeout=60)
    assert check.returncode == 3
    assert [line.split(":")[0] for line in err.splitlines()[1:]] == ["aioconnections"]
    told = start("profile", "--userid", "a", "--user", "nobody", "--log-level", "warning")
    assert "WARNING the login was refused with status 401" in told.communicate(timeout=60)[1]


def test_a_listing_logs_too(start: Callable[..., subprocess.Popen[str]], signed_in: Any) -> None:
    del signed_in
    told = start("search", "--name", "a*", "--log-level", "debug")
    _, err = told.communicate(timeout=60)
    assert told.returncode == 0
    assert " DEBUG GET /profiles/atom/search.do: 200 in " in err
    assert "a*" not in err
