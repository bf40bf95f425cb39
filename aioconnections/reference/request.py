"""A request as the operations see it: let in, read, but not judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aioconnections.reference.answers import LoginNeeded, Refusal

if TYPE_CHECKING:
    from aioconnections.reference.accounts import Session
    from aioconnections.reference.query import Parameters
    from aioconnections.reference.routes import Route

__all__ = ["Request"]


class Request(NamedTuple):
    """One request.

    Attributes:
        method: one of those that the route has.
        origin: scheme and host, as the caller knows them.
        route: the path.
        session: who has signed in.
        query: its parameters.
        body: what was sent, empty for GET and HEAD.
    """

    method: str
    origin: str
    route: Route
    session: Session
    query: Parameters
    body: bytes

    @property
    def base(self) -> str:
        """What links begin with: the origin, and what stands before ``/profiles`` in the path."""
        return self.origin + self.route.context

    @property
    def path(self) -> str:
        """What follows, as links write it: without the segment for bearer tokens."""
        return self.route.path

    @property
    def user(self) -> int | None:
        """Number of who has signed in; None where reading is free and nobody has."""
        return self.session.user

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
