"""The command line with a Redis that processes share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_server import RedisServer

from aioconnections.reference import Directory, app
from aioconnections.reference.server import listening_in_thread

pytestmark = pytest.mark.slow

DIRECTORY = Directory.generate(people=20, seed=4)


@pytest.fixture
def url() -> Iterator[str]:
    with listening_in_thread(app(DIRECTORY)) as url:
        yield url


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    rows = [f"{DIRECTORY.people[0].userid.value},{person.userid.value}" for person in DIRECTORY.people[1:9]]  # type: ignore[union-attr] # all have one
    path.write_text("\n".join(["source_userid,target_userid", *rows, ""]), encoding="utf-8")
    return path


def check(url: str, pairs: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    user = DIRECTORY.people[0].userid
    assert user is not None
    variables = os.environ | {"AIOCONNECTIONS_PASSWORD": "secret", "AIOCONNECTIONS_USER": user.value} | environment
    return subprocess.run(
        [sys.executable, "-m", "aioconnections", "check", str(pairs), "--url", url, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=variables,
    )


def test_a_check_keeps_the_rate_that_is_shared(url: str, pairs: Path, redis: RedisServer, namespace: str) -> None:
    done = check(url, pairs, "--shared", redis.url, "--shared-namespace", namespace)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 9


def test_the_url_of_redis_may_stand_in_the_environment(url: str, pairs: Path, redis: RedisServer) -> None:
    done = check(url, pairs, AIOCONNECTIONS_SHARED=redis.url.replace("://", "://:hunter2@"))
    assert done.returncode in {0, 2}  # Redis may warn of a password that it does not need, or refuse it
    assert "hunter2" not in done.stderr


def test_a_password_in_an_argument_is_refused(url: str, pairs: Path) -> None:
    done = check(url, pairs, "--shared", "redis://:hunter2@127.0.0.1/0")
    assert done.returncode == 2
    assert "set AIOCONNECTIONS_SHARED" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_redis_that_is_away_is_one_line(url: str, pairs: Path, tmp_path: Path) -> None:
    nothing = RedisServer(tmp_path)
    done = check(url, pairs, "--shared", nothing.url)
    assert done.returncode == 5
    assert f"the shared store at 127.0.0.1:{nothing.port} is away" in done.stderr
    assert "Traceback" not in done.stderr
    done = check(url, pairs, "--shared", nothing.url, "--shared-fallback", "2")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shared-fallback", "2"), "needs --shared"),
        (("--shared", "localhost:6379"), "must begin with redis://"),
        (("--shared", "redis://h", "--max-per-second", "0"), "must be a number if the rate is shared"),
    ],
)
def test_options_that_cannot_work(url: str, pairs: Path, options: tuple[str, ...], message: str) -> None:
    done = check(url, pairs, *options)
    assert done.returncode == 2
    assert message in done.stderr
