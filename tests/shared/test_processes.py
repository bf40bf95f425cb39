"""Eight processes on one real Redis: one rate, whatever happens to the processes and to the store.

What the store has granted is read from the bytes that it sent, so the starts of processes that were killed are there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from redis import Redis
from redis_server import RecordingDoor, RedisServer, check_windows, running_redis

from aioconnections.policy.leases import LEASE
from aioconnections.reference import App, Directory, Fault, app
from aioconnections.reference.server import listening_in_thread

pytestmark = pytest.mark.slow

WORKER = Path(__file__).parent.parent / "support" / "shared_worker.py"
DIRECTORY = Directory.generate(people=20, seed=3)
PASSWORD = "secret"  # of all people
PATIENCE = 60.0


class Fleet:
    """Processes, their server and their store, which they reach through a door."""

    def __init__(self, server: str, redis: RedisServer, door: RecordingDoor) -> None:
        self._server = server
        self.redis = redis
        self.door = door
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, count: int, *, rate: float, password: str = PASSWORD) -> None:
        user = DIRECTORY.people[0].userid
        assert user is not None
        store = f"redis://127.0.0.1:{self.door.port}/0"
        command = [sys.executable, str(WORKER), self._server, store, "fleet", user.value, password, str(rate)]
        new = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        self.processes += new
        for process in new:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line == "ready\n", line

    def tell(self, number: int, rate: float) -> None:
        stdin = self.processes[number].stdin
        assert stdin is not None
        stdin.write(f"{rate}\n")
        stdin.flush()

    def end(self) -> list[dict[str, object]]:
        """End the processes in order; what they met."""
        met = []
        for process in self.processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            met.append(json.loads(process.stdout.readline()))
            process.stdout.close()
            process.wait(PATIENCE)
        self.processes.clear()
        return met

    def granted(self) -> list[tuple[float, list[float]]]:
        """Each lease: the time of the store, and the starts."""
        replies = (reply for reply in self.door.replies() if isinstance(reply, list) and len(reply) == 7)
        leases = [(int(reply[0]) / 1e6, [int(start) / 1e6 for start in reply[6].split()]) for reply in replies]
        return sorted(leases)

    def starts(self) -> list[float]:
        """What was granted, without what was given back."""
        starts = Counter(round(start * 1e6) for _, starts in self.granted() for start in starts)
        starts.subtract(self._given_back())
        assert all(count >= 0 for count in starts.values())
        return sorted(start / 1e6 for start in starts.elements())

    def _given_back(self) -> Counter[int]:
        """Starts that a process gave back; Redis may ask for the same request once more, with the script."""
        found: set[tuple[bytes, int]] = set()
        for request in self.door.requests():
            if isinstance(request, list) and request[0] == b"EVALSHA" and request[4].endswith(b":spare"):
                found |= {(request[5], int(start)) for start in request[7:] if request[2] == b"2"}
        return Counter(start for _, start in found)

    def until_granted(self, count: int) -> None:
        """Wait until the store has granted `count` starts more."""
        before, until = len(self.starts()), time.monotonic() + PATIENCE
        while len(self.starts()) < before + count:
            assert time.monotonic() < until, "nothing is granted"
            time.sleep(0.05)

    def until_rate(self, rate: int) -> float:
        """Wait until the store keeps to a rate; its time then."""
        until = time.monotonic() + PATIENCE
        while True:
            replies = [reply for reply in self.door.replies() if isinstance(reply, list) and len(reply) == 7]
            if found := [int(reply[0]) / 1e6 for reply in replies if int(reply[1]) == 1_000_000 // rate]:
                return min(found)
            assert time.monotonic() < until, "the rate is not kept"
            time.sleep(0.05)

    def until_held(self) -> float:
        """Wait until the store holds a pause; the time at which it ends."""
        until = time.monotonic() + PATIENCE
        with Redis(port=self.redis.port) as redis:
            while (held := redis.hget("{fleet}:state", "held")) is None:
                assert time.monotonic() < until, "there is no pause"
                time.sleep(0.05)
        return int(held) / 1e6

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        self.door.close()


def responses(met: dict[str, object]) -> dict[str, int]:
    """The responses that a process got, by status."""
    return cast("dict[str, int]", met["responses"])


@contextmanager
def fleet_of(server: App, folder: Path) -> Generator[Fleet]:
    with ExitStack() as stack:
        url = stack.enter_context(listening_in_thread(server))
        redis = stack.enter_context(running_redis(folder))
        fleet = Fleet(url, redis, RecordingDoor(redis.port))
        stack.callback(fleet.close)
        yield fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of(app(DIRECTORY), tmp_path) as it:
        yield it


def test_eight_processes_keep_one_rate_also_when_it_changes_and_two_are_killed(fleet: Fleet) -> None:
    fleet.start(8, rate=200)
    fleet.until_granted(300)
    for process in fleet.processes[:2]:
        process.kill()
        process.communicate()
    del fleet.processes[:2]
    fleet.until_granted(200)
    fleet.tell(-1, 50)  # the last one to end: a limit ends with the process that has it
    changed = fleet.until_rate(50)
    fleet.until_granted(100)
    met = fleet.end()
    starts = fleet.starts()
    check_windows(starts, 200, 1)
    check_windows([start for start in starts if start > changed + LEASE], 50, 1)
    assert {process["stopped"] for process in met} == {"NoneType"}
    assert sum(sum(responses(process).values()) for process in met) <= len(starts)


def test_a_store_that_is_restarted_grants_nothing_meanwhile_and_no_burst_after(fleet: Fleet) -> None:
    fleet.start(8, rate=200)
    fleet.until_granted(200)
    fleet.redis.stop()
    before = fleet.starts()
    time.sleep(5)
    assert fleet.starts() == before
    fleet.redis.start()
    fleet.until_granted(200)
    met = fleet.end()
    starts = fleet.starts()
    check_windows(starts, 200, 1)
    gap = max(later - earlier for earlier, later in pairwise(starts))
    assert gap >= 4.5  # starts that had been granted lay ahead
    assert {process["stopped"] for process in met} == {"NoneType"}


def test_one_refusal_with_a_pause_stops_all_eight(tmp_path: Path) -> None:
    fault = Fault("refuse", operation="check", status=429, retry_after=3, every=150, times=1)
    with fleet_of(app(DIRECTORY, faults=[fault]), tmp_path) as fleet:
        fleet.start(8, rate=100)
        held = fleet.until_held()
        fleet.until_granted(50)
        met = fleet.end()
        leases, starts = fleet.granted(), fleet.starts()
    check_windows(starts, 100, 1)
    assert not [starts for now, starts in leases if held - 3 <= now < held and starts]
    assert not [start for start in starts if held - 3 + LEASE < start < held]  # a lease lay ahead
    assert [start for start in starts if start >= held]
    assert sum(responses(process).get("429", 0) for process in met) == 1


def test_a_wrong_password_is_sent_once(fleet: Fleet) -> None:
    fleet.start(8, rate=200, password="wrong")
    met = fleet.end()
    assert [process["stopped"] for process in met] == ["AuthenticationError"] * 8
    assert sum(responses(process).get("401", 0) for process in met) == 1


def test_redis_sees_no_credential_and_no_person(fleet: Fleet) -> None:
    fleet.start(2, rate=50)
    fleet.until_granted(20)
    fleet.start(1, rate=50, password="not-the-password")
    fleet.end()
    user = DIRECTORY.people[0].userid
    assert user is not None
    everything = bytes(b"".join([*fleet.door.sent, *fleet.door.received]))
    assert b"login:" in everything
    assert b"refused:401" in everything
    basic = [b64encode(f"{user.value}:{word}".encode()) for word in ("secret", "not-the-password")]
    names = [value.encode() for person in DIRECTORY.people for value in _names(person)]
    for word in (b"secret", b"not-the-password", b"the same in all", b"person-", b"someone", *basic, *names):
        assert word not in everything, word


def _names(person: object) -> list[str]:
    identities = [getattr(person, kind) for kind in ("userid", "key", "email")]
    return [identity.value for identity in identities if identity is not None] + [str(getattr(person, "name", "?"))]
