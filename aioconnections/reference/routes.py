"""The routes of a server, which map a path and a method to an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from aioconnections.reference.accounts import LOGIN, SIGN_IN, TOKEN

if TYPE_CHECKING:
    from aioconnections.reference.accounts import LoginEndpoints
    from aioconnections.reference.colleagues import ColleagueEndpoints
    from aioconnections.reference.communities import CommunityEndpoints
    from aioconnections.reference.inspection import InspectionEndpoints
    from aioconnections.reference.people import ProfileEndpoints
    from aioconnections.reference.request import ServerRequest
    from aioconnections.reference.responses import OperationResult

__all__ = ["Access", "Operation", "Route", "Routes"]
Access: TypeAlias = Literal["password", "oauth", "public", "administrator"]
"""What a path requires: a password or cookie, a bearer token, nothing, or the administrator's password."""

_CACHE_SIZE = 4096
_METHOD_ORDER = ("GET", "HEAD", "POST", "PUT", "DELETE")
_Methods: TypeAlias = Mapping[str, "Operation"]


class Operation(NamedTuple):
    """An operation. Faults refer to it by its name; they do not affect an operation whose name is empty."""

    name: str
    perform: Callable[[ServerRequest], OperationResult]


class Route(NamedTuple):
    """A known path.

    Attributes:
        path: the path as links contain it: without the context and the ``oauth`` segment.
        access: what the path requires of the requester.
        methods: the operations by method.
        allowed: the methods as the ``Allow`` header lists them.
    """

    path: str
    access: Access
    methods: _Methods
    allowed: bytes


class Routes:
    """The paths of one server, each below the path `context`."""

    def __init__(
        self,
        colleagues: ColleagueEndpoints,
        people: ProfileEndpoints,
        communities: CommunityEndpoints,
        login: LoginEndpoints,
        inspection: InspectionEndpoints,
        *,
        context: str,
    ) -> None:
        self._context = context
        self._paths: dict[str, tuple[str, Access, _Methods]] = {}
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
            LOGIN: {"GET": Operation("", login.form)},
            SIGN_IN: {"POST": Operation("", login.sign_in)},
            TOKEN: {"POST": Operation("token", login.token)},
        }.items():
            self._paths[path] = path, "public", methods
        for path, methods in {
            "/reference/commits": {"GET": Operation("", inspection.commits)},
            "/reference/faults": {
                "GET": Operation("", inspection.faults),
                "PUT": Operation("", inspection.set_faults),
            },
        }.items():
            self._paths[path] = path, "administrator", methods
        self.find: Callable[[str], Route | None] = lru_cache(_CACHE_SIZE)(self._find)

    def _add(self, path: str, methods: _Methods, oauth_path: str) -> None:
        self._paths[path] = path, "password", methods
        self._paths[oauth_path] = path, "oauth", methods

    def _find(self, full_path: str) -> Route | None:
        known = self._paths.get(full_path[len(self._context) :]) if full_path.startswith(self._context) else None
        if known is None:
            return None
        path, access, methods = known
        with_head = {**({"HEAD": methods["GET"]} if "GET" in methods else {}), **methods}
        allowed = ", ".join(method for method in _METHOD_ORDER if method in with_head)
        return Route(path, access, with_head, allowed.encode())


def _colleague_paths(colleagues: ColleagueEndpoints) -> dict[str, _Methods]:
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


def _people_paths(people: ProfileEndpoints) -> dict[str, _Methods]:
    return {
        "/atom/profileService.do": {"GET": Operation("service document", people.service_document)},
        "/atom/profile.do": {"GET": Operation("profile", people.profile)},
        "/atom/profileEntry.do": {"GET": Operation("profile entry", people.profile_entry)},
        "/atom/search.do": {"GET": Operation("search", people.search)},
    }


def _community_paths(communities: CommunityEndpoints) -> dict[str, _Methods]:
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
