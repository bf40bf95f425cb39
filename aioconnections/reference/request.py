"""A request as the operations see it: read, but not judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aioconnections.reference.answers import LoginNeeded, Refusal

if TYPE_CHECKING:
    from aioconnections.reference.query import Parameters

__all__ = ["Request"]


class Request(NamedTuple):
    """One request.

    Attributes:
        base: what links begin with: scheme, host, and what stands before ``/profiles`` in the path.
        path: what follows, as links write it: without the segment for bearer tokens.
        query: its parameters.
        user: number of who has signed in; None where reading is free and nobody has.
        body: what was sent, empty for GET and HEAD.
    """

    base: str
    path: str
    query: Parameters
    user: int | None
    body: bytes

    def first(self, name: str) -> str:
        """The first value of a parameter, without blanks around it; empty if there is none."""
        values = self.query.get(name)
        return values[0].strip() if values else ""

    def signed_in(self) -> int:
        """Who has signed in.

        Raises:
            Refusal: nobody has.
        """
        if self.user is None:
            raise Refusal(LoginNeeded())
        return self.user
