"""When a chain goes on: each obstacle ends it, with the response settled or left to the dispatcher."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from attrs import define, field

from aioconnections.clock import LoopClock
from aioconnections.errors import DeadlineError
from aioconnections.policy.application import Application
from aioconnections.policy.limiter import Limiter
from aioconnections.protocol.messages import Headers, Request, Response
from aioconnections.session.call_context import CallContext, RunScope
from aioconnections.session.express import Express
from aioconnections.session.telemetry import LOG, Telemetry
from aioconnections.session.turns import Turns

FOUND = Response(200, [(b"X-Profiles-Connection-Status", b"accepted")])
OWN_404 = Response(404, [(b"Content-Type", b"text/xml")])
FOREIGN_404 = Response(404, [(b"Content-Type", b"text/html")])
SECOND = Request("HEAD", "/profiles/atom/connection.do?second")


@define
class Stub:
    """An object with the attributes that it is given."""

    values: dict[str, Any] = field(factory=dict)

    def __getattr__(self, name: str) -> Any:
        return self.values[name]


@define
class World:
    """A chain of which nothing stands in the way."""

    now: float = 100.0
    settles: bool = True
    ready: bool = True
    clear: bool = True
    proved: bool = True
    steady: bool = True
    went_well: list[float] = field(factory=list)
    known_refusals: frozenset[int] = frozenset()
    delivered: list[int] = field(factory=list)
    left: bool = False
    takes: float = 0.0
    held_until: float = 0.0
    telemetry: Telemetry = field(factory=Telemetry)
    limiter: Limiter = field(factory=lambda: Limiter(None))
    turns: Turns = field(init=False)
    application: Application = field(factory=lambda: Application(lambda: 0.5))
    login: Stub = field(factory=lambda: Stub({"request_headers": Headers(), "is_ready": True, "is_untried": False}))
    run: RunScope = field(factory=lambda: RunScope("1"))
    context: CallContext = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.application.proved = True
        self.turns = Turns(1, self.limiter, LoopClock())
        self.turns.free -= 1  # taken by this chain

    def settle(self, response: Response) -> bool:
        self.delivered += [response.status] * self.settles
        return self.settles

    def advance(self) -> Request | None:
        self.now += self.takes
        return SECOND if self.ready else None

    def leave(self) -> None:
        self.left = True

    def express(self) -> Express:
        outage = Stub({"held_until": self.held_until})
        availability = Stub(
            {
                "is_clear": lambda _: self.clear,
                "steady": self.steady,
                "outage": outage,
                "went_well": self.went_well.append,
            }
        )
        runtime: Any = Stub(
            {
                "availability": availability,
                "telemetry": self.telemetry,
                "turns": self.turns,
                "limiter": self.limiter,
                "clock": LoopClock(),
            }
        )
        readiness: Any = Stub({"is_proved": lambda: self.proved})
        monitor: Any = Stub({"application": self.application, "holds": 2.0})
        login: Any = self.login
        context = self.context = CallContext(lambda: self.now, 60.0, self.run)
        first = Request("HEAD", "/profiles/atom/connection.do?first")
        return Express(runtime, login, readiness, monitor, self.known_refusals, first, context, self)


def follow(express: Express, response: Response) -> Request | None:
    """What a lane does with a response."""
    return express.next_request() if express.settle(response) else None


def test_it_goes_on_where_nothing_is_in_the_way() -> None:
    world = World()
    express = world.express()
    assert follow(express, FOUND) is SECOND
    assert (express.request, express.is_settled, world.delivered) == (SECOND, False, [200])
    assert world.telemetry.responses == {200: 1}


def test_a_request_that_is_taken_back_is_left_to_the_worker() -> None:
    world = World()
    express = world.express()
    assert follow(express, FOUND) is SECOND
    assert world.context.attempts == 1
    express.take_back()
    assert (express.is_settled, world.left, world.context.attempts) == (True, True, 0)


def test_a_refusal_that_the_application_is_known_to_write_is_settled_too() -> None:
    world = World(known_refusals=frozenset({404}))
    assert follow(world.express(), OWN_404) is SECOND
    assert world.delivered == [404]


def hook(world: World) -> None:
    world.telemetry.on_attempt = lambda _: None


def untried(world: World) -> None:
    world.login.values["is_untried"] = True


UNSETTLED: dict[str, tuple[Response, Callable[[World], object]]] = {
    "an unknown refusal": (OWN_404, lambda _: None),
    "a page": (FOREIGN_404, lambda world: setattr(world, "known_refusals", frozenset({404}))),
    "a redirect": (Response(301), lambda _: None),
    "a refused login": (Response(401), lambda _: None),
    "overload": (Response(503), lambda _: None),
    "a response that the owner cannot settle": (FOUND, lambda world: setattr(world, "settles", False)),
    "a renewed credential": (FOUND, untried),
    "a hook": (FOUND, hook),
}


@pytest.mark.parametrize("name", UNSETTLED)
def test_anything_unusual_is_left_to_the_dispatcher(name: str) -> None:
    response, change = UNSETTLED[name]
    world = World()
    change(world)
    express = world.express()
    assert follow(express, response) is None
    assert (express.is_settled, world.delivered, dict(world.telemetry.responses)) == (False, [], {})


def test_an_attempt_that_is_logged_is_left_to_the_dispatcher(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger=LOG.name):
        assert follow(World().express(), FOUND) is None


def test_a_good_response_counts_while_the_server_is_recovering() -> None:
    world = World(steady=False)
    assert follow(world.express(), FOUND) is SECOND
    assert world.went_well == [100.0]


def test_a_response_that_was_not_settled_does_not_count_twice() -> None:
    world = World(steady=False, settles=False)
    assert follow(world.express(), FOUND) is None
    assert world.went_well == []


def renewing(world: World) -> None:
    world.login.values["is_ready"] = False


def away(world: World) -> None:
    world.application.outage.begin(world.now)


OBSTACLES: dict[str, Callable[[World], object]] = {
    "an outage or a pause": lambda world: setattr(world, "clear", False),
    "a login that has to be proved": lambda world: setattr(world, "proved", False),
    "a credential that is being renewed": renewing,
    "an application that is away": away,
    "an application that was not proved": lambda world: setattr(world.application, "proved", False),
    "an application that is watched and needs a canary": lambda world: setattr(world.application, "is_watched", True),
    "fewer slots than requests": lambda world: setattr(world.turns, "free", -1),
    "a single call that waits": lambda world: world.turns.singles.update({anyio.Event(): None}),
    "a request of another run that waits": lambda world: world.turns.runs.update({anyio.Event(): None}),
    "a run that has ended": lambda world: world.run.end_at(world.now, DeadlineError("over", sent="no")),
    "no item": lambda world: setattr(world, "ready", False),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_an_obstacle_ends_the_chain_after_the_outcome(name: str) -> None:
    world = World()
    OBSTACLES[name](world)
    express = world.express()
    assert follow(express, FOUND) is None
    assert (express.is_settled, world.delivered) == (True, [200])


def test_a_credential_that_was_renewed_is_used_by_the_next_chain() -> None:
    world = World()
    express = world.express()
    world.login.values["request_headers"] = Headers([("Authorization", "Bearer new")])
    assert follow(express, FOUND) is None
    assert express.is_settled


def test_the_start_of_an_item_is_after_it_was_read() -> None:
    world = World(takes=5.0)
    assert follow(world.express(), FOUND) is SECOND
    assert world.context.sent_at == 105.0


def watched(world: World) -> None:
    world.application.is_watched = True
    world.application.canary_sent(99.0)


def test_it_goes_on_while_a_canary_vouches_for_an_application_that_is_watched() -> None:
    world = World()
    watched(world)
    assert follow(world.express(), FOUND) is SECOND


LATE: dict[str, Callable[[World], object]] = {
    "the run is over": lambda world: world.run.end_at(103.0, DeadlineError("over", sent="no")),
    "a pause has begun": lambda world: setattr(world, "held_until", 110.0),
    "a canary has become too old": watched,
    "the rate limit is ahead": lambda world: world.limiter.reserve(104.9),
}


@pytest.mark.parametrize("name", LATE)
def test_an_item_that_may_not_be_sent_after_all_is_left_to_the_worker(name: str) -> None:
    world = World(takes=5.0, limiter=Limiter(2.0))
    LATE[name](world)
    express = world.express()
    assert follow(express, FOUND) is None
    assert (express.is_settled, world.left, world.context.attempts) == (True, True, 0)


def test_a_start_that_lies_ahead_is_given_back() -> None:
    world = World(limiter=Limiter(2.0))
    assert world.limiter.reserve(world.now) == world.now
    assert follow(world.express(), FOUND) is None
    assert world.limiter.reserve(world.now) == world.now + 0.5


def test_without_an_item_no_start_is_used() -> None:
    world = World(limiter=Limiter(2.0), ready=False)
    assert follow(world.express(), FOUND) is None
    world.now += 1e-6
    assert world.limiter.reserve(world.now) == world.now
    assert not world.left
