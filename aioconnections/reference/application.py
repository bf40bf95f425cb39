"""The one way to make a server, with all its switches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from aioconnections.reference.asgi import App
from aioconnections.reference.commits import Commits
from aioconnections.reference.settings import Body, Emails, Scheme, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from os import PathLike

    from aioconnections.records import Identity, Person
    from aioconnections.reference.dialect import Version
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.faults import Fault

__all__ = ["app"]


def app(  # noqa: PLR0913  # a switch for each contradiction of the pages
    directory: Directory,
    *,
    version: Version = "6.0",
    emails: Emails = "exposed",
    auth: Scheme = "basic",
    tokens: Mapping[str, Identity | Person] | None = None,
    refresh_tokens: Mapping[str, Identity | Person] | None = None,
    anonymous_read: bool = False,
    invite_201_body: Body = "empty",
    invitation_delete: Literal[200, 204] = 200,
    max_ps: int = 250,
    page_default: int | None = None,
    cache_headers: bool = True,
    rootless_profile_entry: bool = True,
    dedup: bool = True,
    front_end_pages: bool = False,
    faults: Iterable[Fault] = (),
    fault_seed: int = 0,
    commit_log: str | PathLike[str] | None = None,
    clock: Callable[[], float] = time.time,
) -> App:
    """A Connections server over `directory`, as an ASGI callable.

    It answers, below any context path and with ``oauth`` where the product has that segment:

    - Profiles: ``connection.do``, ``connections.do``, ``connectionsInCommon.do``, ``profileService.do``,
      ``profile.do``, ``profileEntry.do``, ``search.do``, ``serviceconfigs``; of its Administration API
      ``connections.do`` and ``profileService.do``, for ``admin`` alone;
    - Communities: ``community``, ``community/invites``, ``community/invites/my``, ``community/members``;
    - ``/connections/opensocial/…/rest/people/@me/``, and the token endpoint of OAuth 2 for refresh tokens, with any
      client id and the client secret ``secret``;
    - behind the scenes, for ``admin`` with the password: GET ``/reference/commits`` (lines of JSON, ``after=N`` for
      those with higher numbers), GET and PUT ``/reference/faults`` (a list in JSON).

    The directory itself never changes: a second server over the same one starts afresh.

    Args:
        directory: whom the server knows. Everybody signs in with their e-mail address, userid or key and the password
            ``secret``, or with the ``LtpaToken2`` of an earlier answer, which goes before a password. So does
            ``admin``, to whom all connections are visible; others see their own, and accepted ones.
        version: which product to imitate.
        emails: ``hidden``: no document holds an e-mail address, and naming somebody by one is refused with 400.
        auth: ``basic``: Basic on the plain paths, else 401. ``form``: the same, but whoever has not signed in is
            redirected to a login page. ``oauth``: bearer tokens on the paths with ``oauth``, else 401. Requests on
            the other kind of path get 401.
        tokens: whose each bearer token is.
        refresh_tokens: whose each refresh token is. ``oauth`` needs tokens of either kind, and nothing else takes any.
        anonymous_read: whether GET and HEAD need no login, except for what is one's own.
        invite_201_body: whether what was made is answered with its ``entry``, as the pages have it, or with an
            ``empty`` body, as recorded.
        invitation_delete: the status when an invitation to a community has been declined or revoked.
        max_ps: the largest page; whoever asks for more gets this, without a word.
        page_default: the size of a page when none is asked for. None: 10, and 20 for invitations to communities.
        cache_headers: whether answers have ``Cache-Control``, which lets answers of Profiles be kept for 10 minutes.
        rootless_profile_entry: whether ``profileEntry.do`` answers for nobody with 200 and a document without a root,
            as recorded, or with 404.
        dedup: False: whoever invites again is not refused, but the invitation is made and committed once more, so that
            the commits show what a client sends twice.
        front_end_pages: True: a web server in front puts HTML pages of its own in the place of error documents.
        faults: trouble that requests meet with; also `App.faults`, while it runs.
        fault_seed: what the chances of faults depend on.
        commit_log: a file to which each change is appended as a line of JSON before it is answered; see `Commit`.
        clock: seconds since 1970; what changes are dated with.

    Raises:
        ValueError: an option has a value that is not in this list.
        OSError: the file cannot be written to; it is a folder, for example.
    """
    if bool(tokens or refresh_tokens) is not (auth == "oauth"):
        raise ValueError('auth="oauth" and tokens or refresh_tokens go together')
    settings = Settings(
        version=version,
        emails=emails,
        auth=auth,
        anonymous_read=anonymous_read,
        invite_201_body=invite_201_body,
        invitation_delete=invitation_delete,
        max_ps=max_ps,
        page_default=page_default,
        cache_headers=cache_headers,
        rootless_profile_entry=rootless_profile_entry,
        dedup=dedup,
        front_end_pages=front_end_pages,
    )
    logins = tokens or {}, refresh_tokens or {}
    made = App(
        directory,
        settings,
        logins=logins,
        commits=Commits(directory, clock, commit_log),
        clock=clock,
        fault_seed=fault_seed,
    )
    made.faults = faults
    return made
