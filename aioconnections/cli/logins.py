"""``aioconnections login`` and ``logout``: passwords in the keyring of the operating system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from aioconnections.cli.exits import GOOD
from aioconnections.cli.server import SERVER, ServerOptions
from aioconnections.errors import ConnectionsError, InvalidInputError

if TYPE_CHECKING:
    from aioconnections.auth.credentials import Auth
    from aioconnections.records import Person

__all__ = ["login", "logout"]


def login(
    *,
    server: ServerOptions = SERVER,
    password_stdin: Annotated[bool, Parameter(negative="")] = False,
    verify: Annotated[bool, Parameter(name="--verify", negative="--no-verify", show_default=False)] = True,
) -> int:
    """Store a password in the keyring, for one user of one server.

    The password is read from a prompt, from --password-file or from standard input. It is stored only if
    the server accepts it; a wrong one is sent once. Further commands with the same user and the same scheme, host and
    port in the URL then need no password; any other URL does not get it.

    Args:
        server: Server and login.
        password_stdin: Read the password from the first line of standard input.
        verify: Sign in with the password before it is stored.
    """
    from aioconnections.auth.credentials import Basic
    from aioconnections.cli.logs import logged
    from aioconnections.cli.progress import say
    from aioconnections.cli.stored_logins import StoredLogins

    origin, user = server.origin(), _user(server)
    if "token_file" in server.profile.by_option and not server.profile.is_from_profile("token_file"):
        raise InvalidInputError("--token-file has no meaning with login, which stores a password; omit it")
    _ = Basic(user, "")  # refuses an invalid user before the prompt
    logins = StoredLogins.open()
    secret = _read(server, user, is_piped=password_stdin)
    auth = Basic(user, secret)
    if verify:
        try:
            with logged(server.log_level):
                person = _me(server, auth)
        except ConnectionsError:
            say("aioconnections: the password was not stored")
            raise
        say(f"Signed in at {origin} as {person.identity.value}: the server accepts the password.")
    keyring = logins.keep(origin, user, secret)
    say(f"The password of {user} for {origin} is stored in the keyring {keyring}.")
    for other in server.before_the_keyring:
        say(f"aioconnections: {other} takes precedence over the stored password")
    return GOOD


def logout(*, server: ServerOptions = SERVER) -> int:
    """Remove a password from the keyring.

    Args:
        server: Server and login.
    """
    from aioconnections.cli.progress import say
    from aioconnections.cli.stored_logins import StoredLogins

    origin, user = server.origin(), _user(server)
    if StoredLogins.open().forget(origin, user):
        say(f"The password of {user} for {origin} is removed.")
    else:
        say(f"No password of {user} for {origin} was stored.")
    return GOOD


def _user(server: ServerOptions) -> str:
    if not server.user:
        raise InvalidInputError("the user is missing; use --user or --profile, or set AIOCONNECTIONS_USER")
    return server.user


def _read(server: ServerOptions, user: str, *, is_piped: bool) -> str:
    """The password from where the arguments say, or from a prompt.

    Raises:
        InvalidInputError: it is missing, or options conflict.
    """
    from aioconnections.cli.progress import needed
    from aioconnections.cli.secrets import first_line, password

    file = None if server.profile.is_from_profile("password_file") else server.password_file
    if is_piped:
        if file is not None:
            raise InvalidInputError("--password-stdin and --password-file cannot be used together; use one of them")
        try:
            line = needed("input", "use --password-file").readline()
        except UnicodeError:
            raise InvalidInputError("the first line of standard input is not text") from None
        found = line.removeprefix("\ufeff").rstrip("\r\n")  # PowerShell may write a byte order mark
        if not found:
            raise InvalidInputError("the first line of standard input is empty")
        return found
    if file is not None:
        return first_line(file)
    return password(user, advice="use --password-file or --password-stdin")


def _me(server: ServerOptions, auth: Auth) -> Person:
    """The person whom a login belongs to, from one request.

    Raises:
        ConnectionsError: the server refuses the login, or is not available.
    """
    import asyncio

    async def sign_in() -> Person:
        async with server.client(max_attempts=1, auth=auth) as client:
            return await client.me()

    return asyncio.run(sign_in())
