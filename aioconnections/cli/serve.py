"""``aioconnections serve``: the reference server on loopback."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from aioconnections.cli.exits import GOOD
from aioconnections.cli.numbers import COUNT, PORT
from aioconnections.cli.progress import input_file, needed, say
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError, UsageError

if TYPE_CHECKING:
    from aioconnections.records import Identity

__all__ = ["serve"]

_STDOUT_ERRORS = {errno.EPIPE, errno.ENOSPC, errno.EFBIG, errno.EIO}  # opening a port never raises these


def serve(  # noqa: PLR0913 # an option for each contradiction between the vendor's pages
    *,
    port: Annotated[int, PORT] = 0,
    people: int = 5_000,
    seed: int = 1,
    imitate: Literal["4.5", "5.0", "6.0"] = "6.0",
    emails: Literal["exposed", "hidden"] = "exposed",
    auth: Literal["basic", "form", "oauth"] = "basic",
    tokens: Path | None = None,
    token_paths: Literal["oauth", "ordinary"] = "oauth",  # noqa: S107 # the kind of a path
    anonymous_read: Annotated[bool, Parameter(negative="")] = False,
    max_ps: Annotated[int, COUNT] = 250,
    page_default: Annotated[int | None, COUNT] = None,
    cache_headers: bool = True,
    rootless_profile_entry: bool = True,
    invitation_delete: Literal["200", "204"] = "200",
    invite_201_body: Literal["empty", "entry"] = "empty",
    require_connection_type: bool = True,
    front_end_pages: Annotated[bool, Parameter(negative="")] = False,
    front_end_status: Annotated[int | None, COUNT] = None,
    context: str = "",
    link_base: str | None = None,
    commit_log: Path | None = None,
) -> int:
    """Run the reference server on loopback until Ctrl-C.

    The first line of output is "listening on URL". The password of every user is "secret"; the user "admin" sees all
    connections.

    Args:
        port: Port to listen on; 0 selects a free port.
        people: Number of generated people, from 10 to 1,000,000.
        seed: Seed of the generator; the same seed generates the same people.
        imitate: Version of the product to imitate.
        emails: Whether documents contain e-mail addresses and requests may identify people by them.
        auth: How people sign in: with a password, where a request without a login gets 401 (basic) or is redirected to
            a login page (form); or with bearer tokens (oauth).
        tokens: Owners of the tokens for --auth oauth: CSV or JSON lines with the columns token and email, userid or
            key.
        token_paths: Whether --auth oauth accepts tokens on the paths with "oauth" or on the ordinary ones.
        anonymous_read: Allow reading without a login, except for data of the signed-in user.
        max_ps: Largest page size of a listing; larger requests get this size.
        page_default: Page size if a request gives none; by default 10, and 20 for invitations to communities.
        cache_headers: Whether responses may be cached for ten minutes, as recorded.
        rootless_profile_entry: Whether profileEntry.do responds for an unknown person with 200 and a document without a
            root element, or with 404.
        invitation_delete: Status of the response after an invitation to a community is declined or revoked.
        invite_201_body: Whether the response to a creation contains the new entry.
        require_connection_type: Whether an invitation needs the parameter connectionType.
        front_end_pages: Replace error documents by HTML pages, as some front-end web servers do.
        front_end_status: Status of these pages, from 200 to 599; by default that of the error document.
        context: Path before /profiles and /communities, such as /social.
        link_base: Beginning of all links in responses, such as https://inner.example.com:9443, as behind a gateway that
            does not rewrite them.
        commit_log: File to which each change is appended as a line of JSON before the response is sent.
    """
    from aioconnections.cli.apart import NamedFile

    needed("output", "the command prints its URL there")
    if (auth == "oauth") is not (tokens is not None):
        raise UsageError("--auth oauth and --tokens must be used together")
    if tokens and commit_log and NamedFile.at(tokens, "--tokens").is_same(NamedFile.at(commit_log, "--commit-log")):
        raise UsageError("--commit-log is the file of --tokens; choose another file")
    try:
        from aioconnections.reference import Directory, app
        from aioconnections.reference.server import serve as listen

        server = app(
            Directory.generate(people=people, seed=seed),
            version=imitate,
            emails=emails,
            auth=auth,
            tokens=_tokens(tokens),
            token_paths=token_paths,
            anonymous_read=anonymous_read,
            max_ps=max_ps,
            page_default=page_default,
            cache_headers=cache_headers,
            rootless_profile_entry=rootless_profile_entry,
            invitation_delete=204 if invitation_delete == "204" else 200,
            invite_201_body=invite_201_body,
            require_connection_type=require_connection_type,
            front_end_pages=front_end_pages,
            front_end_status=front_end_status,
            context=context,
            link_base=link_base,
            commit_log=commit_log,
        )
    except (ImportError, ValueError) as error:  # uvicorn is missing, or an option is invalid
        problem = str(error)
    except OSError as error:
        problem = f"{commit_log}: {error.strerror}"
    else:
        try:
            listen(server, port=port)
        except OSError as error:
            if error.errno in _STDOUT_ERRORS:
                raise OSError(None, error.strerror, "standard output") from None
            problem = f"port {port}: {error.strerror}"
        else:
            return GOOD
    raise UsageError(problem)


def _tokens(path: Path | None) -> dict[str, Identity] | None:
    """The owner of each token in a file."""
    from aioconnections.files.rows import PEOPLE, BadRowError, read_rows
    from aioconnections.files.source import opened

    if path is None:
        return None
    found: dict[str, Identity] = {}
    with opened(input_file(path)) as file:
        for person in read_rows(file, PEOPLE, None, report=say).rows:
            if isinstance(person, BadRowError):
                raise InvalidInputError(f"{escaped(str(path))}: line {person.line}: {person.problem}")
            token = person.row.get("token")
            if not isinstance(token, str) or not token:
                raise InvalidInputError(f"{escaped(str(path))}: line {person.line}: the token is empty")
            found[token] = person.identity
    return found
