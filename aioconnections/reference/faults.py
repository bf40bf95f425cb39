"""Trouble on request: which requests meet with it, and when it comes."""

from __future__ import annotations

import random
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import attrs
from attrs import field, frozen
from attrs.validators import ge, in_, le, optional

from aioconnections.records import Email, Identity, Key, Person, Userid, identity_of
from aioconnections.reference.answers import Application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aioconnections.reference.directory import Directory

__all__ = ["Fault", "Faults", "Moment", "OperationName"]

_Kind: TypeAlias = Literal["delay", "refuse", "login", "missing", "reset", "stall"]
Moment: TypeAlias = Literal["request", "commit", "half"]
_Form: TypeAlias = Literal["seconds", "imf-fixdate", "rfc850", "asctime"]
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
_NO_ANSWER = {"delay", "reset", "stall"}


def _whom(who: Identity | Person | None) -> Identity | None:
    return None if who is None else identity_of(who)


@frozen
class Fault:
    """Trouble, and whom it meets.

    Attributes:
        kind: ``delay`` waits; ``refuse`` answers with `status` as a front end does; ``login`` with a login page and
            200; ``missing`` with the HTML page of the application server that no application is there; ``reset`` ends
            the connection with an RST; ``stall`` says nothing more until the client goes.
        at: when. ``request``: it has been read, and nothing has happened. ``commit``: it has taken effect, and nothing
            was said. ``half``: besides, the head of the answer and half of its body are out; with ``delay``, ``reset``
            and ``stall`` only.
        operation: which operation; all, if None.
        application: only requests to this application; both, if None.
        person: only requests that concern this person: who has signed in, or is named in the query or in the entry.
        every: of those that match, each so many-th.
        times: not more often than this.
        chance: of the rest, this share, from 0 to 1; the same ones whenever the same requests come in the same order.
        seconds: how long ``delay`` waits.
        status: what ``refuse`` answers.
        retry_after: with ``refuse``: seconds, or text that is sent as it is; None sends no such header.
        retry_after_form: how seconds are written: as a number or as one of the three dates of HTTP.

    Raises:
        ValueError: a value that is not in these lists.
    """

    kind: _Kind = field(validator=in_(get_args(_Kind)))
    at: Moment = field(default="request", kw_only=True, validator=in_(get_args(Moment)))
    operation: OperationName | None = field(
        default=None, kw_only=True, validator=optional(in_(get_args(OperationName)))
    )
    application: Application | None = field(default=None, kw_only=True, validator=optional(in_(get_args(Application))))
    person: Identity | None = field(default=None, kw_only=True, converter=_whom)
    every: int = field(default=1, kw_only=True, validator=ge(1))
    times: int | None = field(default=None, kw_only=True, validator=optional(ge(1)))
    chance: float = field(default=1.0, kw_only=True, validator=[ge(0), le(1)])
    seconds: float = field(default=0.0, kw_only=True, validator=ge(0))
    status: int = field(default=503, kw_only=True, validator=[ge(400), le(599)])
    retry_after: float | str | None = field(default=None, kw_only=True)
    retry_after_form: _Form = field(default="seconds", kw_only=True, validator=in_(get_args(_Form)))

    def __attrs_post_init__(self) -> None:
        if self.at == "half" and self.kind not in _NO_ANSWER:
            raise ValueError(
                f"half of an answer can be followed by {', '.join(sorted(_NO_ANSWER))}, not by {self.kind}"
            )

    def as_dict(self) -> dict[str, Any]:
        """The fault as JSON may hold it; the person is one of ``email``, ``userid`` and ``key``."""
        values = attrs.asdict(self, recurse=False)
        if self.person is not None:
            values["person"] = {self.person.kind: self.person.value}
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fault:
        """The fault that `as_dict` has written; what is missing has its default.

        Raises:
            ValueError: a value that a fault cannot have.
        """
        known = dict(values)
        try:
            if known.get("person") is not None:
                ((kind, text),) = known["person"].items()
                known["person"] = _IDENTITIES[kind](text)
            return cls(**known)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a fault: {error}") from error

    def retry_header(self, now: float) -> str | None:
        """The value of ``Retry-After``, if there is one."""
        if self.retry_after is None or isinstance(self.retry_after, str):
            return self.retry_after
        if self.retry_after_form == "seconds":
            return f"{self.retry_after:g}"
        return http_date(now + self.retry_after, self.retry_after_form)


def http_date(moment: float, form: Literal["imf-fixdate", "rfc850", "asctime"]) -> str:
    """A moment in one of the three ways that HTTP knows (RFC 9110, section 5.6.7)."""
    if form == "asctime":
        return time.asctime(time.gmtime(moment))
    fixed = formatdate(moment, usegmt=True)
    if form == "imf-fixdate":
        return fixed
    weekday, day, month, year, clock, zone = fixed.split()
    return f"{_WEEKDAYS[weekday]}, {day}-{month}-{year[2:]} {clock} {zone}"


class Faults:
    """The faults of one server, and how often each had to do with a request."""

    def __init__(self, directory: Directory, faults: Iterable[Fault], seed: int) -> None:
        self.faults: Sequence[Fault] = tuple(faults)
        self._watches = [_Watch(fault, directory, f"{seed} {number}") for number, fault in enumerate(self.faults)]

    @property
    def struck(self) -> list[int]:
        """How often each fault struck."""
        return [watch.struck for watch in self._watches]

    def striking(self, operation: str, path: str, concerned: Callable[[], set[int]]) -> list[Fault]:
        """What this request meets with: every delay, and the first fault that ends it."""
        met: list[Fault] = []
        for watch in self._watches:
            if watch.strikes(operation, path, concerned):
                met.append(watch.fault)
                if watch.fault.kind != "delay":
                    break
        return met


class _Watch:
    def __init__(self, fault: Fault, directory: Directory, seed: str) -> None:
        self.fault = fault
        self.struck = 0
        self._matching = 0
        self._chance = random.Random(seed)  # noqa: S311  # it has to repeat itself
        self._person = None if fault.person is None else directory.number_of(fault.person)
        if fault.person is not None and self._person is None:
            raise ValueError(f"a fault is for {fault.person}, who is not in the directory")

    def strikes(self, operation: str, path: str, concerned: Callable[[], set[int]]) -> bool:
        fault = self.fault
        if fault.operation not in (None, operation):
            return False
        if fault.application is not None and not path.startswith(f"/{fault.application}/"):
            return False
        if fault.person is not None and self._person not in concerned():
            return False
        self._matching += 1
        if self._matching % fault.every or self.struck == fault.times:
            return False
        strikes = self._chance.random() < fault.chance
        self.struck += strikes
        return strikes
