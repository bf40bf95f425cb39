"""A bulk run that is killed repeatedly, and the server that kills it.

The run is a process, `tests/crash/driver.py`; a *life* is one such process from its start to its end. The server is the
reference server in a thread, so that it can kill the run at an exact point of an exchange: before an invitation is
made, after it is made, or after the response is sent.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

from attrs import asdict, frozen

from aioconnections.journal.file import recognise
from aioconnections.reference import App, Directory, Fault, app
from aioconnections.reference.request import AsgiReceive, AsgiScope, AsgiSend

__all__ = [
    "Item",
    "Life",
    "Logs",
    "Moment",
    "Plan",
    "Site",
    "live",
    "log_of",
    "moments",
    "refused",
    "start",
    "strangers",
]

Item: TypeAlias = str | None
"""A userid; None stands for an invalid item."""
DRIVER = Path(__file__).parent.parent / "crash" / "driver.py"
_SIGKILLED = -9


class Moment(NamedTuple):
    """When a run is killed.

    Attributes:
        what: at the server's n-th request (``request``) or check (``check``); at the n-th invitation before it is made
            (``post``), after it is made (``commit``) or after its response (``answer``); when the journal has grown by
            n bytes, or after n milliseconds.
        number: n.
    """

    what: Literal["request", "check", "post", "commit", "answer", "bytes", "milliseconds"]
    number: int


def moments(seed: int, count: int, *, most: int) -> Iterator[Moment]:
    """Random moments, some early in a life, when the run settles what its predecessor left.

    Args:
        seed: seed of the random numbers.
        count: number of moments.
        most: number of invitations after which the last runs are killed.
    """
    chance = random.Random(seed)
    longest: dict[Any, int] = {
        "request": 3,
        "check": 3,
        "post": most,
        "commit": most,
        "answer": most,
        "bytes": 500 * most,
        "milliseconds": 1000,
    }
    kinds: list[Any] = []
    for _ in range(count):
        kinds = kinds or chance.sample(list(longest), len(longest))
        kind = kinds.pop()
        yield Moment(kind, chance.randint(1, longest[kind]))


class Life:
    """One process, from its start to its end.

    Attributes:
        name: sent with each request, because a request of a killed process may arrive during the next life.
        seen: number of events by kind, see `Moment.what`.
        killed: whether the process was killed.
    """

    def __init__(self, *ends: Moment) -> None:
        self.name = secrets.token_hex(8)
        self.seen: Counter[str] = Counter()
        self.killed = False
        self._ends = frozenset(ends)
        self._process: Future[subprocess.Popen[bytes]] = Future()

    def watch(self, process: subprocess.Popen[bytes], journal: Path) -> int:
        """Watch the process until it ends, and return its exit code."""
        self._process.set_result(process)
        start, size = time.monotonic(), _size(journal)
        while process.poll() is None:
            self.reach("bytes", _size(journal) - size)
            self.reach("milliseconds", int(1000 * (time.monotonic() - start)))
            time.sleep(0.002)
        return process.returncode

    def see(self, what: str) -> None:
        """Count an event, and kill the process if this is its moment."""
        self.seen[what] += 1
        self.reach(what, self.seen[what])

    def reach(self, what: str, number: int) -> None:
        """Kill the process if one of its moments is reached."""
        if not self.killed and any(end.what == what and number >= end.number for end in self._ends):
            self.killed = True
            self._process.result().kill()


def log_of(journal: Path) -> Path:
    """Path of the write-ahead log of a journal."""
    return journal.with_name(f"{journal.name}-wal")


def _size(journal: Path) -> int:
    files = (journal, log_of(journal))
    size = 0
    for file in files:
        with suppress(FileNotFoundError):  # SQLite removes its log when the last connection closes
            size += file.stat().st_size
    return size


class Site:
    """The reference server, which makes every invitation, repeated ones included, even late and after a disconnect.

    A check of a person whose invitation is in progress is answered after it. So a run that waits for the settle window
    finds every earlier invitation made, however slow the machine is; `checks` shows whether it waited.

    Args:
        directory: people whom the server knows.
        log: file for its commits.
        seed: seed of all random numbers.
        late: share of invitations that are made late.
        latest: maximum delay of these, in seconds.
        faults: see `aioconnections.reference.app`.

    Attributes:
        server: the reference server.
        life: the current process.
        checks: time of each check, in seconds since 1970, and userid of the person.
    """

    def __init__(
        self,
        directory: Directory,
        log: Path,
        *,
        seed: int = 0,
        late: float = 0.0,
        latest: float = 0.0,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.server: App = app(directory, dedup=False, faults=faults, fault_seed=seed, commit_log=log)
        self.log = log
        self.life = Life()
        self._former: dict[str, Life] = {}
        self.checks: list[tuple[float, str]] = []
        self._chance = random.Random(seed)
        self._late = late
        self._latest = latest
        self._under_way: dict[str, list[asyncio.Event]] = {}

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        if scope["type"] != "http":
            await self.server(scope, receive, send)
            return
        life = self._life_of(scope)
        life.see("request")
        query = dict(parse_qsl(scope["query_string"].decode()))
        if scope["method"] == "POST":
            await self._invite(life, query["userid"], scope, receive, send)
            return
        if scope["method"] == "HEAD":
            person = query["targetUserid"]
            self.checks.append((time.time(), person))
            life.see("check")
            for invited in tuple(self._under_way.get(person, ())):
                await invited.wait()
        await self.server(scope, receive, send)

    def begin(self, *ends: Moment) -> Life:
        """Begin a new life, which ends at the first of the moments."""
        self._former[self.life.name] = self.life
        self.life = Life(*ends)
        return self.life

    def _life_of(self, scope: AsgiScope) -> Life:
        """The life that a request belongs to."""
        name = next((value.decode() for name, value in scope["headers"] if name == b"x-life"), "")
        return self._former.get(name, self.life)

    async def _invite(self, life: Life, person: str, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        done = asyncio.Event()

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                done.set()
                life.see("commit")
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                life.see("answer")

        under_way = self._under_way.setdefault(person, [])
        under_way.append(done)
        try:
            body = [await receive()]
            while body[-1].get("more_body"):
                body.append(await receive())
            life.see("post")
            late, delay, lost = (self._chance.random() for _ in range(3))
            if late < self._late:
                await asyncio.sleep(self._latest * delay)
            if life.killed and lost < 0.5:  # the request is lost with the process that sent it
                return await _gone(receive)
            body.reverse()

            async def again() -> Any:
                return body.pop() if body else await receive()

            await self.server(scope, again, sending)
        finally:
            done.set()
            under_way.remove(done)


async def _gone(receive: AsgiReceive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def strangers(directory: Directory, count: int) -> list[str]:
    """Userids of people without a connection to person 0."""
    found: list[str] = []
    me = directory.people[0]
    for person in directory.people[1:]:
        if directory.status(me, person) is None:
            found.append(str(person.userid))
            if len(found) == count:
                return found
    raise AssertionError(f"the directory has only {len(found)} people without a connection, not {count}")


@frozen(kw_only=True)
class Plan:
    """Parameters of a run.

    Attributes:
        items: people to invite.
        folder: folder of its files, including the journal.
        user: name of the signed-in user.
        settle: see `Client.invite_many`.
        max_connections: see `Client`.
        breakage: deliberate fault of the journal, see the driver; it tests the tests.
    """

    items: Sequence[Item]
    folder: Path
    user: str
    settle: float
    max_connections: int = 8
    breakage: str | None = None

    @property
    def journal(self) -> Path:
        return self.folder / "run.sqlite"


def start(plan: Plan, url: str, life: str = "") -> tuple[subprocess.Popen[bytes], Path]:
    """Start a run, and return its process and the file to which it writes its outcomes."""
    told = plan.folder / f"told-{len(list(plan.folder.glob('told-*')))}"
    told.touch()
    given = asdict(plan) | {"folder": None, "journal": str(plan.journal), "told": str(told), "url": url, "life": life}
    file = plan.folder / "plan.json"
    file.write_text(json.dumps(given))
    return subprocess.Popen([sys.executable, str(DRIVER), str(file)], stderr=subprocess.PIPE), told


def live(plan: Plan, site: Site, url: str, *ends: Moment) -> Path:
    """Run to the end, or until killed at the first of the moments, and return the file with its outcomes."""
    life = site.begin(*ends)
    process, told = start(plan, url, life.name)
    with process:
        code = life.watch(process, plan.journal)
        assert process.stderr is not None
        assert code == (_SIGKILLED if life.killed else 0), process.stderr.read().decode()
    return told


def refused(plan: Plan, site: Site, url: str) -> str:
    """Run with a journal that must be refused before anything is sent, and return the error message."""
    life = site.begin()
    process, told = start(plan, url, life.name)
    with process:
        assert process.stderr is not None
        message = process.stderr.read().decode()
        assert process.wait() == 1, message
    assert told.read_text() == ""
    assert not life.seen["post"]
    told.unlink()
    return message


class Logs:
    """Removes or replaces the log of a journal between two lives, and restores it.

    Args:
        seed: seed of all random numbers.
        share: share of the lives after which this happens.

    Attributes:
        done: number of removals and replacements by kind.
    """

    def __init__(self, seed: int, share: float) -> None:
        self.done: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._share = share
        self._earlier: bytes | None = None

    def lose(self, plan: Plan, site: Site, url: str) -> None:
        """Perhaps lose the log, and check that the run is refused and the journal unchanged; then restore the log."""
        log = log_of(plan.journal)
        if not log.exists() or self._chance.random() >= self._share:
            return
        mark, content = recognise(plan.journal, plan.journal.lstat()), log.read_bytes()
        if mark is not None and mark.is_open:  # otherwise the run was killed before its first intent
            ways: dict[str, bytes | None] = {"removed": None, "emptied": b"", "swapped": self._chance.randbytes(5_000)}
            if self._earlier not in (None, content):  # a run that is killed before it opens the journal changes nothing
                ways["put back"] = self._earlier
            how = min(sorted(ways), key=lambda way: (self.done[way], self._chance.random()))  # each kind gets its turn
            self.done[how] += 1
            self._put(log, ways[how])
            before = plan.journal.read_bytes()
            assert refused(plan, site, url).startswith("JournalLogMissingError: "), how
            assert plan.journal.read_bytes() == before
            assert (log.read_bytes() if log.exists() else None) == ways[how]
            self._put(log, content)
        self._earlier = content

    def _put(self, log: Path, content: bytes | None) -> None:
        log.unlink(missing_ok=True)
        if content is not None:
            log.write_bytes(content)
