"""Fault injection: which requests a fault affects, when it happens, and what it does to them."""

from __future__ import annotations

import random
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import anyio
import attrs
from attrs import field, frozen
from attrs.validators import ge, in_, le, optional

from aioconnections.records import Email, Identity, Key, Person, Userid, identity_of
from aioconnections.reference.accounts import login_page
from aioconnections.reference.responses import (
    PlainResult,
    ServedApplication,
    ServerResponse,
    html_response,
    plain_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aioconnections.reference.directory import Directory
    from aioconnections.reference.request import AsgiReceive, AsgiScope

__all__ = ["RESET", "Fault", "FaultInjector", "FaultMoment", "FaultSchedule", "NoResponseError", "OperationName"]
RESET = "aioconnections.reset"
"""ASGI extension of `aioconnections.reference.server`: a callable that resets the connection."""

_FaultKind: TypeAlias = Literal["delay", "refuse", "login", "missing", "reset", "stall"]
FaultMoment: TypeAlias = Literal["request", "commit", "half"]
_RetryAfterForm: TypeAlias = Literal["seconds", "imf-fixdate", "rfc850", "asctime"]
OperationName: TypeAlias = Literal[
    "check",
    "colleagues",
    "colleagues in common",
    "invite",
    "accept",
    "remove",
    "connect",
    "disconnect",
    "administration",
    "service document",
    "profile",
    "profile entry",
    "search",
    "service configs",
    "me",
    "community",
    "community invitations",
    "my invitations",
    "community invite",
    "withdraw",
    "members",
    "join",
    "token",
]

_IDENTITIES: dict[str, type[Identity]] = {"email": Email, "userid": Userid, "key": Key}
_WEEKDAYS = {
    f"{name[:3]},": name for name in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
}
_WITHOUT_RESPONSE = {"delay", "reset", "stall"}


def _optional_identity(person: Identity | Person | None) -> Identity | None:
    return None if person is None else identity_of(person)


@frozen
class Fault:
    """A fault, and the requests that it affects.

    Attributes:
        kind: ``delay`` waits; ``refuse`` responds with `status` and an HTML page, as a front-end server does; ``login``
            responds with a login page and 200; ``missing`` responds with the HTML page of the application server for an
            application that is not installed; ``reset`` closes the connection with an RST; ``stall`` sends nothing more
            until the client disconnects.
        at: when it happens. ``request``: the request has been read and has not taken effect. ``commit``: the request
            has taken effect and no response has been sent. ``half``: the head and half of the body have been sent as
            well; only with ``delay``, ``reset`` and ``stall``.
        operation: the affected operation; None for all.
        application: the affected application; None for both.
        person: the affected person, who must be signed in or be named in the query or the entry; None for all.
        every: N to affect only every N-th matching request.
        times: the maximum number of strikes, which are the requests that it has affected; None for no limit.
        chance: the share of the remaining requests that it affects, from 0 to 1. In the same sequence of requests it
            affects the same ones.
        seconds: the length of a ``delay``.
        status: the status of ``refuse``, from 200 to 599.
        retry_after: the ``Retry-After`` header of ``refuse``: seconds, or text that is sent unchanged; None for no
            header.
        retry_after_form: how seconds are written: as a number or as one of the three HTTP dates.

    Raises:
        ValueError: a value is invalid.
    """

    kind: _FaultKind = field(validator=in_(get_args(_FaultKind)))
    at: FaultMoment = field(default="request", kw_only=True, validator=in_(get_args(FaultMoment)))
    operation: OperationName | None = field(
        default=None, kw_only=True, validator=optional(in_(get_args(OperationName)))
    )
    application: ServedApplication | None = field(
        default=None, kw_only=True, validator=optional(in_(get_args(ServedApplication)))
    )
    person: Identity | None = field(default=None, kw_only=True, converter=_optional_identity)
    every: int = field(default=1, kw_only=True, validator=ge(1))
    times: int | None = field(default=None, kw_only=True, validator=optional(ge(1)))
    chance: float = field(default=1.0, kw_only=True, validator=[ge(0), le(1)])
    seconds: float = field(default=0.0, kw_only=True, validator=ge(0))
    status: int = field(default=503, kw_only=True, validator=[ge(200), le(599)])
    retry_after: float | str | None = field(default=None, kw_only=True)
    retry_after_form: _RetryAfterForm = field(default="seconds", kw_only=True, validator=in_(get_args(_RetryAfterForm)))

    def __attrs_post_init__(self) -> None:
        if self.at == "half" and self.kind not in _WITHOUT_RESPONSE:
            kinds = ", ".join(sorted(_WITHOUT_RESPONSE))
            raise ValueError(f"kind must be one of {kinds} with at='half', got {self.kind!r}")

    def as_dict(self) -> dict[str, Any]:
        """The fault as JSON values; the person is an object with the member ``email``, ``userid`` or ``key``."""
        values = attrs.asdict(self, recurse=False)
        if self.person is not None:
            values["person"] = {self.person.kind: self.person.value}
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fault:
        """The fault that `as_dict` describes; missing values have their defaults.

        Raises:
            ValueError: a value is invalid.
        """
        known, person = dict(values), values.get("person")
        try:
            if person is not None:
                if len(person) != 1 or not _IDENTITIES.keys() >= {*person}:
                    raise ValueError(f"person must have one member, email, userid or key, got {person!r}")
                ((kind, text),) = person.items()
                known["person"] = _IDENTITIES[kind](text)
            return cls(**known)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"invalid fault: {error}") from error

    def retry_header(self, now: float) -> str | None:
        """The value of ``Retry-After``; None for no header."""
        if self.retry_after is None or isinstance(self.retry_after, str):
            return self.retry_after
        if self.retry_after_form == "seconds":
            return f"{self.retry_after:g}"
        return _http_date(now + self.retry_after, self.retry_after_form)


def _http_date(moment: float, form: Literal["imf-fixdate", "rfc850", "asctime"]) -> str:
    """One of the three date formats of HTTP (RFC 9110, section 5.6.7)."""
    if form == "asctime":
        return time.asctime(time.gmtime(moment))
    fixed = formatdate(moment, usegmt=True)
    if form == "imf-fixdate":
        return fixed
    weekday, day, month, year, clock, zone = fixed.split()
    return f"{_WEEKDAYS[weekday]}, {day}-{month}-{year[2:]} {clock} {zone}"


class FaultSchedule:
    """The faults of one server, and the number of times that each has struck.

    Setting `faults` resets all counts.
    """

    def __init__(self, directory: Directory, seed: int) -> None:
        self._directory = directory
        self._seed = seed
        self._counters: list[_FaultCounter] = []

    @property
    def faults(self) -> Sequence[Fault]:
        """The faults, in the order in which they are tried."""
        return tuple(counter.fault for counter in self._counters)

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        self._counters = [
            _FaultCounter(fault, self._directory, f"{self._seed} {number}") for number, fault in enumerate(faults)
        ]

    @property
    def struck(self) -> list[int]:
        """The number of times that each fault has struck."""
        return [counter.struck for counter in self._counters]

    def __bool__(self) -> bool:
        return bool(self._counters)

    def select(self, operation: str, path: str, people: Callable[[], set[int]]) -> list[Fault]:
        """The faults for a request: all delays up to and including the first fault of another kind.

        Args:
            operation: name of the requested operation.
            path: path of the request.
            people: returns the people that the request concerns; called only if a fault is for one person.
        """
        selected: list[Fault] = []
        for counter in self._counters:
            if counter.strikes(operation, path, people):
                selected.append(counter.fault)
                if counter.fault.kind != "delay":
                    break
        return selected


class _FaultCounter:
    def __init__(self, fault: Fault, directory: Directory, seed: str) -> None:
        self.fault = fault
        self.struck = 0
        self._matching = 0
        self._random = random.Random(seed)  # noqa: S311  # must be reproducible
        self._person = None if fault.person is None else directory.number_of(fault.person)
        if fault.person is not None and self._person is None:
            raise ValueError(f"the person of a fault must be in the directory, got {fault.person}")

    def strikes(self, operation: str, path: str, people: Callable[[], set[int]]) -> bool:
        fault = self.fault
        if fault.operation not in (None, operation):
            return False
        if fault.application is not None and not path.startswith(f"/{fault.application}/"):
            return False
        if fault.person is not None and self._person not in people():
            return False
        self._matching += 1
        if self._matching % fault.every or self.struck == fault.times:
            return False
        strikes = self._random.random() < fault.chance
        self.struck += strikes
        return strikes


class NoResponseError(Exception):
    """The connection was reset or the client has disconnected: no response can be sent."""


@frozen
class FaultInjector:
    """Applies the selected faults to one request."""

    faults: Sequence[Fault]
    scope: AsgiScope
    receive: AsgiReceive
    clock: Callable[[], float]

    async def inject(self, moment: FaultMoment) -> ServerResponse | None:
        """Apply the faults of this moment.

        Returns:
            The response that replaces the regular one; None to continue.

        Raises:
            NoResponseError: the connection was reset, or the client has disconnected.
            ConnectionResetError: the ASGI server does not support resetting a connection.
        """
        for fault in self.faults:
            if fault.at != moment:
                continue
            if fault.kind == "delay":
                await anyio.sleep(fault.seconds)
            elif fault.kind == "reset":
                await self._reset()
            elif fault.kind == "stall":
                await self._disconnected()
            else:
                return self._response(fault)
        return None

    def _response(self, fault: Fault) -> ServerResponse:
        if fault.kind == "login":
            return plain_response(PlainResult(200, "text/html;charset=UTF-8", login_page("")))
        if fault.kind == "missing":
            path = self.scope["path"]
            return html_response(404, f"SRVE0255E: A WebGroup/Virtual Host to handle {path} has not been defined.")
        wait = fault.retry_header(self.clock())
        headers = [] if wait is None else [(b"retry-after", wait.encode("latin-1", "replace"))]
        return html_response(fault.status, "The service is not available.", *headers)

    async def _reset(self) -> None:
        reset = self.scope.get("extensions", {}).get(RESET)
        if reset is None:
            raise ConnectionResetError("connection reset by a fault of the reference server")
        reset()
        await self._disconnected()

    async def _disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        raise NoResponseError
