"""``aioconnections serve``: the reference server on loopback."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from aioconnections.cli.apart import NamedFile
from aioconnections.cli.exits import GOOD
from aioconnections.cli.progress import needed
from aioconnections.cli.rows import BadRowError, read_rows
from aioconnections.errors import InvalidInputError, UsageError
from aioconnections.records import Identity

__all__ = ["serve"]

_OF_STDOUT = {errno.EPIPE, errno.ENOSPC, errno.EFBIG, errno.EIO}  # no port can be taken or forbidden in these ways


def serve(  # noqa: PLR0913 # a switch for each contradiction of the pages
    *,
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65_535))] = 0,
    people: int = 5_000,
    seed: int = 1,
    imitate: Literal["4.5", "5.0", "6.0"] = "6.0",
    emails: Literal["exposed", "hidden"] = "exposed",
    auth: Literal["basic", "form", "oauth"] = "basic",
    tokens: Path | None = None,
    anonymous_read: Annotated[bool, Parameter(negative="")] = False,
    max_ps: Annotated[int, Parameter(validator=Number(gte=1))] = 250,
    page_default: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    cache_headers: bool = True,
    rootless_profile_entry: bool = True,
    invitation_delete: Literal["200", "204"] = "200",
    invite_201_body: Literal["empty", "entry"] = "empty",
    commit_log: Path | None = None,
) -> int:
    """Run the reference server on loopback until Ctrl-C.

    It prints "listening on URL" first. Everybody's password is "secret"; the user "admin" sees all connections.

    Args:
        port: Port to listen on; 0 takes one that is free.
        people: How many invented people there are, from 10 to 1,000,000.
        seed: Which people; the same number makes the same ones.
        imitate: Version of the product to imitate.
        emails: Whether documents hold e-mail addresses, and requests may name people by them.
        auth: Whether who has not signed in gets 401, or is redirected to a login page; or whether bearer tokens take
            the place of passwords.
        tokens: Whose the tokens are: CSV or JSON lines with the columns token and email, userid or key. With --auth
            oauth.
        anonymous_read: Let everybody read without a login, except for what is one's own.
        max_ps: Largest page of a listing; whoever asks for more gets this.
        page_default: Size of a page when none is asked for; if left out 10, and 20 for invitations to communities.
        cache_headers: Whether answers may be kept for ten minutes, as recorded.
        rootless_profile_entry: Whether profileEntry.do answers for nobody with 200 and no document, or with 404.
        invitation_delete: Status when an invitation to a community has been declined or revoked.
        invite_201_body: Whether what was made is answered with its entry.
        commit_log: File to which each change is appended as a line of JSON before it is answered.
    """
    needed("output", "that is where it says on which port it listens")
    if (auth == "oauth") is not (tokens is not None):
        raise UsageError("--auth oauth and --tokens go together")
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
            anonymous_read=anonymous_read,
            max_ps=max_ps,
            page_default=page_default,
            cache_headers=cache_headers,
            rootless_profile_entry=rootless_profile_entry,
            invitation_delete=204 if invitation_delete == "204" else 200,
            invite_201_body=invite_201_body,
            commit_log=commit_log,
        )
    except (ImportError, ValueError) as error:  # uvicorn is missing, or too many people
        problem = str(error)
    except OSError as error:
        problem = f"{commit_log}: {error.strerror}"
    else:
        try:
            listen(server, port=port)
        except OSError as error:
            if error.errno in _OF_STDOUT:
                raise OSError(None, error.strerror, "standard output") from None
            problem = f"port {port}: {error.strerror}"
        else:
            return GOOD
    raise UsageError(problem)


def _tokens(path: Path | None) -> dict[str, Identity] | None:
    """Whose each token of a file is."""
    from aioconnections.cli.rows import PEOPLE
    from aioconnections.cli.source import opened

    if path is None:
        return None
    found: dict[str, Identity] = {}
    with opened(path) as file:
        for number, person in enumerate(read_rows(file, PEOPLE, None).rows, start=1):
            if isinstance(person, BadRowError):
                raise InvalidInputError(f"{path}: line {person.line}: {person.problem}")
            token = person.row.get("token")
            if not isinstance(token, str) or not token:
                raise InvalidInputError(f"{path}: row {number} has no token")
            found[token] = person.identity
    return found
