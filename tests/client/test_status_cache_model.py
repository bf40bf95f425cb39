"""Callers that come, are cancelled, run out of time and write, at random times, against a model of what each may see.

A status that a call returns was true at some time between two bounds: the end of the call, and the latest of

- the end of the last change of the pair by this client before the call began,
- the beginning of the call, minus the age that it allows.

Changes that another client makes count for the second bound only. One of the two users sees no connection at all.
"""

from __future__ import annotations

import httpx
import pytest
import trio
from doors import Script, no_connection, on_virtual_time, status
from hypothesis import given, settings
from hypothesis import strategies as st

from aioconnections import Bearer, Client, ConnectionsError, Email, Identity, Status, StatusCache, Timeouts, Userid

URL = "https://connections.example.com"
PEOPLE: tuple[Userid, ...] = tuple(Userid(name) for name in "abc")
TTL, NEGATIVE, SLOWEST = 4.0, 3.0, 1.5
EPSILON = 1e-6

moments = st.integers(0, 40).map(lambda tenth: tenth / 10)  # close together, so that much of it overlaps
# seconds before and after a server reads or changes the status
delays = st.sampled_from([(0.0, 0.0), (0.0, 0.7), (0.7, 0.0), (0.05, 0.3)])
ends = st.sampled_from([(0, 1), (0, 1), (1, 0), (2, 1)])
checks = st.tuples(
    st.just("check"),
    moments,
    ends,
    st.sampled_from(["ann", "bob"]),
    st.sampled_from([None, None, None, 0.0, 1.0]),
    st.sampled_from([None, None, None, 0.4]),  # when it is cancelled
    st.booleans(),  # by e-mail address
)
writes = st.tuples(
    st.just("write"),
    moments,
    ends,
    st.sampled_from(["connect", "connect", "disconnect", "elsewhere"]),
    st.just(None),
    st.sampled_from([None, None, None, 0.4]),
    st.booleans(),
)


def name_of(identity: Identity) -> str:
    return identity.value.partition("@")[0]


class World:
    """A server whose every status has a history, and the model of what each call may return."""

    def __init__(self, latencies: list[tuple[float, float]]) -> None:
        self.script = Script(self.respond, self.sign_in)
        self.history: dict[frozenset[str], list[tuple[float, bool]]] = {}
        self.written: dict[frozenset[str], list[float]] = {}
        self.latencies = latencies
        self.number = 0
        self.seen = 0

    def record(self, pair: frozenset[str], *, connected: bool) -> None:
        self.history.setdefault(pair, [(float("-inf"), False)]).append((trio.current_time(), connected))

    def pause(self) -> tuple[float, float]:
        self.number += 1
        return self.latencies[self.number % len(self.latencies)]

    async def respond(self, request: httpx.Request) -> httpx.Response:
        values = [
            request.url.params.get(f"{end}{kind}") for end in ("source", "target") for kind in ("Email", "Userid")
        ]
        pair = frozenset(value.partition("@")[0] for value in values if value)
        before, after = self.pause()
        await trio.sleep(before)
        if request.method != "HEAD":
            self.record(pair, connected=request.method == "PUT")
            await trio.sleep(after)
            return httpx.Response(204 if request.method == "DELETE" else 201)
        connected = self.history.get(pair, [(0.0, False)])[-1][1]
        bob = request.headers["authorization"] == "Bearer bob"
        await trio.sleep(after)
        return status("accepted") if connected and not bob else no_connection()

    def sign_in(self, request: httpx.Request) -> httpx.Response:
        userid = request.headers.get("authorization", "").removeprefix("Bearer ")
        text = (
            '<service xmlns="http://www.w3.org/2007/app" xmlns:snx="http://www.ibm.com/xmlns/prod/sn"><workspace>'
            f'<collection href="x"><snx:userid>{userid}</snx:userid></collection></workspace></service>'
        )
        return httpx.Response(200, headers={"content-type": "application/atomsvc+xml"}, content=text.encode())

    def allowed(self, pair: frozenset[str], since: float, until: float) -> set[bool]:
        """The states of a pair between two times."""
        history = self.history.get(pair, [(float("-inf"), False)])
        ends = [*(moment for moment, _ in history[1:]), float("inf")]
        return {
            state
            for (begin, state), end in zip(history, ends, strict=True)
            if begin <= until + EPSILON and end >= since - EPSILON
        }

    async def check(self, client: Client, user: str, people: tuple[Identity, Identity], max_age: float | None) -> None:
        pair = frozenset(map(name_of, people))
        began = trio.current_time()
        own = max(self.written.get(pair, [float("-inf")]))
        try:
            outcome = await client.check_outcome(*people, max_age=max_age)
        except ConnectionsError:
            return
        self.seen += 1
        now = trio.current_time()
        assert outcome.status in (Status.ACCEPTED, None)
        if user == "bob":
            assert outcome.status is None
            return
        connected, ttl = outcome.status is not None, NEGATIVE if outcome.status is None else TTL
        most = ttl if max_age is None else min(max_age, ttl)
        if outcome.via == "cache":
            assert outcome.age is not None
            assert outcome.age <= most + EPSILON
            assert max_age != 0
            assert connected in self.allowed(pair, now - outcome.age, now)
        oldest = began if max_age == 0 else began - (most if outcome.via == "cache" else SLOWEST)
        assert connected in self.allowed(pair, max(oldest, own), now)

    async def write(self, client: Client, how: str, people: tuple[Identity, Identity]) -> None:
        pair = frozenset(map(name_of, people))
        if how == "elsewhere":
            self.record(pair, connected=not self.history.get(pair, [(0.0, False)])[-1][1])
            return
        try:
            await (client.admin.connect(*people) if how == "connect" else client.admin.disconnect(*people))
        except ConnectionsError:
            pass
        finally:
            self.written.setdefault(pair, []).append(trio.current_time())


def run(actions: list[tuple[object, ...]], latencies: list[tuple[float, float]]) -> World:
    worlds: list[World] = []

    async def main() -> None:
        world = World(latencies)
        worlds.append(world)
        cache = StatusCache(ttl=TTL, negative_ttl=NEGATIVE, max_entries=5)
        async with (
            Client(
                URL,
                auth=bearer("ann"),
                transport=world.script,
                max_connections=3,
                max_per_second=None,
                timeouts=Timeouts(attempt=1, item=1.2),
                cache=cache,
            ) as ann,
            trio.open_nursery() as nursery,
        ):
            began = trio.current_time()

            async def act(kind: str, at: float, who: tuple[int, int], *rest: object) -> None:
                how, max_age, patience, by_email = rest
                one, other = (PEOPLE[number] for number in who)
                people: tuple[Identity, Identity] = (one, other)
                if by_email:
                    people = Email(f"{one}@example.com"), Email(f"{other}@example.com")
                await trio.sleep(began + at - trio.current_time())
                with trio.move_on_after(float("inf") if patience is None else patience):  # type: ignore[arg-type] # drawn: a number or None
                    if kind == "check":
                        client = ann if how == "ann" else ann.as_user(bearer("bob"))
                        await world.check(client, str(how), people, max_age)  # type: ignore[arg-type] # drawn: a number or None
                    else:
                        await world.write(ann, str(how), people)

            for action in actions:
                nursery.start_soon(act, *action)  # type: ignore[arg-type] # actions of two forms
        assert "0 under way" in repr(ann._caller.session._flights)  # type: ignore[union-attr] # entered
        assert ann.stats().under_way == world.script.under_way == 0

    on_virtual_time(main)
    return worlds[0]


def bearer(name: str) -> Bearer:
    return Bearer(name, oauth_paths=False)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(st.one_of(checks, checks, checks, writes), min_size=20, max_size=40), st.lists(delays, min_size=1))
def test_no_call_sees_what_it_may_not_see(
    actions: list[tuple[object, ...]], latencies: list[tuple[float, float]]
) -> None:
    run(actions, latencies)


def test_the_model_sees_hits_joins_and_changes() -> None:
    """Otherwise it would prove nothing."""
    steady = [("check", n / 10, (0, 1), "ann", None, None, False) for n in range(100)]
    changes = [("write", n, (1, 0), how, None, None, n % 2) for n, how in ((2, "connect"), (7, "disconnect"))]
    world = run([*steady, *changes], [(0.3, 0.3)])
    assert world.seen == 100
    assert len(world.script.asked) < 40
