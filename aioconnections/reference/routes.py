"""Which operation a path and a method are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from aioconnections.reference.entrance import LOGIN, SIGN_IN, TOKEN

if TYPE_CHECKING:
    from aioconnections.reference.answers import Answer
    from aioconnections.reference.colleagues import Colleagues
    from aioconnections.reference.communities import Communities
    from aioconnections.reference.entrance import Entrance
    from aioconnections.reference.inspection import Inspection
    from aioconnections.reference.people import People
    from aioconnections.reference.request import Request

__all__ = ["Door", "Operation", "Route", "Routes"]

Door: TypeAlias = Literal["password", "oauth", "open", "administrator"]
"""Who may come in by a path: with a password, with a bearer token, everybody, or the administrator of this server."""

_REMEMBERED = 4096
_Methods: TypeAlias = Mapping[str, "Operation"]


class Operation(NamedTuple):
    """What can be asked for. Its name is how faults speak of it; what has none meets with no faults."""

    name: str
    answer: Callable[[Request], Answer]


class Route(NamedTuple):
    """A path that the server knows.

    Attributes:
        context: what stands before it.
        path: the rest, without a segment for bearer tokens: as links write it.
        door: who may come in.
        methods: the operations.
        allowed: the same, for ``Allow``.
    """

    context: str
    path: str
    door: Door
    methods: _Methods
    allowed: bytes


class Routes:
    """The paths of one server. Before each, anything may stand."""

    def __init__(
        self,
        colleagues: Colleagues,
        people: People,
        communities: Communities,
        entrance: Entrance,
        inspection: Inspection,
    ) -> None:
        self._ends: dict[str, tuple[str, Door, _Methods]] = {}
        profiles: dict[str, _Methods] = {**_colleague_paths(colleagues), **_people_paths(people)}
        for path, methods in profiles.items():
            self._add(f"/profiles{path}", methods, f"/profiles/oauth{path}")
        for path, methods in _community_paths(communities).items():
            self._add(f"/communities/service/atom{path}", methods, f"/communities/service/atom/oauth{path}")
        me = {"GET": Operation("me", people.me)}
        for end in ("", "/", "/@self", "/@self/"):
            path = f"rest/people/@me{end}"
            self._add(f"/connections/opensocial/basic/{path}", me, f"/connections/opensocial/oauth/{path}")
        configs = {"GET": Operation("service configs", people.service_configs)}
        for path, methods in {
            "/profiles/serviceconfigs": configs,
            "/communities/serviceconfigs": configs,
            LOGIN: {"GET": Operation("", entrance.form)},
            SIGN_IN: {"POST": Operation("", entrance.sign_in)},
            TOKEN: {"POST": Operation("token", entrance.token)},
        }.items():
            self._ends[path] = path, "open", methods
        for path, methods in {
            "/reference/commits": {"GET": Operation("", inspection.changes)},
            "/reference/faults": {
                "GET": Operation("", inspection.faults),
                "PUT": Operation("", inspection.set_faults),
            },
        }.items():
            self._ends[path] = path, "administrator", methods
        self.find: Callable[[str], Route | None] = lru_cache(_REMEMBERED)(self._find)

    def _add(self, path: str, methods: _Methods, for_tokens: str) -> None:
        self._ends[path] = path, "password", methods
        self._ends[for_tokens] = path, "oauth", methods

    def _find(self, path: str) -> Route | None:
        for end, (known, door, methods) in self._ends.items():
            if path.endswith(end):
                every = {**({"HEAD": methods["GET"]} if "GET" in methods else {}), **methods}
                allowed = ", ".join(method for method in _ORDER if method in every)
                return Route(path.removesuffix(end), known, door, every, allowed.encode())
        return None


_ORDER = ("GET", "HEAD", "POST", "PUT", "DELETE")


def _colleague_paths(colleagues: Colleagues) -> dict[str, _Methods]:
    return {
        "/atom/connection.do": {
            "GET": Operation("check", colleagues.check),
            "PUT": Operation("accept", colleagues.update),
            "DELETE": Operation("remove", colleagues.remove),
        },
        "/atom/connections.do": {
            "GET": Operation("colleagues", colleagues.feed),
            "POST": Operation("invite", colleagues.invite),
        },
        "/atom/connectionsInCommon.do": {"GET": Operation("colleagues in common", colleagues.in_common)},
        "/admin/atom/connections.do": {
            "PUT": Operation("connect", colleagues.connect),
            "DELETE": Operation("disconnect", colleagues.disconnect),
        },
        "/admin/atom/profileService.do": {"GET": Operation("administration", colleagues.administration)},
    }


def _people_paths(people: People) -> dict[str, _Methods]:
    return {
        "/atom/profileService.do": {"GET": Operation("service document", people.service_document)},
        "/atom/profile.do": {"GET": Operation("profile", people.profile)},
        "/atom/profileEntry.do": {"GET": Operation("profile entry", people.profile_entry)},
        "/atom/search.do": {"GET": Operation("search", people.search)},
    }


def _community_paths(communities: Communities) -> dict[str, _Methods]:
    return {
        "/community": {"GET": Operation("community", communities.community)},
        "/community/invites": {
            "GET": Operation("community invitations", communities.invitations),
            "POST": Operation("community invite", communities.invite),
            "DELETE": Operation("withdraw", communities.withdraw),
        },
        "/community/invites/my": {"GET": Operation("my invitations", communities.my_invitations)},
        "/community/members": {
            "GET": Operation("members", communities.members),
            "POST": Operation("join", communities.join),
        },
    }
