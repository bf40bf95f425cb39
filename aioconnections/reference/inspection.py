"""What is no part of the product: a look behind the scenes, for tests that have nothing but the URL.

Under ``/reference/``, for the administrator with the password, whatever logins the server takes elsewhere.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from aioconnections.reference.answers import Answer, Plain
from aioconnections.reference.commits import Commits, as_line
from aioconnections.reference.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aioconnections.reference.request import Request

__all__ = ["Inspection"]


class _Troubled(Protocol):
    """A server whose faults can be changed."""

    @property
    def faults(self) -> Sequence[Fault]: ...
    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None: ...
    @property
    def struck(self) -> list[int]: ...


@frozen
class Inspection:
    """The two resources ``/reference/commits`` and ``/reference/faults``."""

    commits: Commits
    server: _Troubled

    def changes(self, request: Request) -> Answer:
        """GET all changes as lines of JSON; with ``after=N`` only those with higher numbers."""
        after = request.first("after") or "-1"
        try:
            start = int(after) + 1
        except ValueError:
            return _problem(f"after is a number, not {after!r}")
        lines = b"".join(as_line(commit) for commit in self.commits.made[max(0, start) :])
        return Plain(200, "application/x-ndjson", lines.decode())

    def faults(self, request: Request) -> Answer:  # noqa: ARG002  # operations are called alike
        """GET the faults as a list in JSON, each with how often it ``struck``."""
        faults = zip(self.server.faults, self.server.struck, strict=True)
        return _json([{**fault.as_dict(), "struck": struck} for fault, struck in faults])

    def set_faults(self, request: Request) -> Answer:
        """PUT a list of faults in place of those there are; counting begins anew."""
        try:
            given = json.loads(request.body)
            self.server.faults = [
                Fault.from_dict({name: value for name, value in fault.items() if name != "struck"}) for fault in given
            ]
        except (ValueError, TypeError, AttributeError) as error:
            return _problem(str(error))
        return self.faults(request)


def _json(value: object) -> Plain:
    return Plain(200, "application/json", json.dumps(value, ensure_ascii=False))


def _problem(text: str) -> Plain:
    return Plain(400, "text/plain; charset=UTF-8", f"{text}\n")
