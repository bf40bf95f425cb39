"""``aioconnections config``: the settings that a command would use, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from attrs import frozen
from cyclopts import Parameter

from aioconnections.cli.exits import GOOD
from aioconnections.cli.server import SERVER, ServerOptions
from aioconnections.cli.sources import TOKEN
from aioconnections.cli.terminal import escaped, width, wrapped

__all__ = ["config"]

_ENVIRONMENT = {
    "url": "AIOCONNECTIONS_URL",
    "user": "AIOCONNECTIONS_USER",
    "client_cert": "AIOCONNECTIONS_CLIENT_CERT",
    "client_key": "AIOCONNECTIONS_CLIENT_KEY",
    "shared": "AIOCONNECTIONS_SHARED",
    "shared_namespace": "AIOCONNECTIONS_SHARED_NAMESPACE",
}


def config(*, server: ServerOptions = SERVER, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Show the settings that a command with the same options would use, and where each comes from.

    The value of an option is that of the argument, else of the profile that --profile names, else of the environment,
    else of the default profile. No request is sent, and no secret is shown.

    Profiles are tables of the configuration file, whose path is the first line; AIOCONNECTIONS_CONFIG names another
    one. Its keys are the options below with underscores, as in:

      default_profile = "prod"
      [profiles.prod]
      url = "https://connections.example.com"
      user = "ajones"

    Relative paths in the file begin at its folder. It must hold no secret; "aioconnections login" stores a password in
    the keyring of the operating system. A password or token in the environment is not sent to the server of a profile,
    unless AIOCONNECTIONS_URL, and for a password AIOCONNECTIONS_USER, are the same as in the profile.

    Args:
        server: Server and login.
        json: Write one JSON object.
    """
    from aioconnections.cli.config_file import config_path
    from aioconnections.cli.progress import needed

    if server.url:
        _ = server.origin()  # refuses a URL that holds a password
    path, sources = config_path(), server.profile
    login, notes = _login(server)
    rows = [*_settings(server), login]
    output = needed("output", "the settings are written there")
    if json:
        from json import dumps

        found = {
            "file": str(path),
            "file_exists": sources.file is not None,
            "profile": sources.profile,
            "default_profile": sources.is_default,
            "profiles": [*sources.profiles],
            "settings": {row.name: row.as_json() for row in rows},
            "notes": notes,
        }
        print(dumps(found, indent=2), file=output)
        return GOOD
    missing = "" if sources.file is not None else " (does not exist)"
    others = [name for name in sources.profiles if name != sources.profile]
    columns = width(output)
    lines = [
        f"file: {escaped(str(path))}{missing}",
        f"profile: {escaped(sources.profile or 'none')}{' (the default)' if sources.is_default else ''}",
        f"other profiles: {escaped(', '.join(others)) or 'none'}",
        "",
        *_table([row.cells() for row in rows], columns),
        *map(escaped, notes),
    ]
    for line in lines:
        print(*([line] if columns is None else wrapped(line, columns)), sep="\n", file=output)
    return GOOD


def _table(cells: list[tuple[str, str, str]], columns: int | None) -> Iterator[str]:
    """The lines of a table; without its columns if the terminal is too narrow for them."""
    first, second = (max(min(len(row[column]), 40) for row in cells) for column in (0, 1))
    lines = [f"{name:{first}}  {value:{second}}  {source}".rstrip() for name, value, source in cells]
    if columns is not None and max(map(len, lines)) >= columns:
        lines = [f"{name}: {value} ({source})" for name, value, source in cells]
    yield from lines


@frozen
class _Row:
    """One setting.

    Attributes:
        name: name of the setting, as in the configuration file.
        value: its value; None if it is not set, or not shown.
        source: where it comes from.
        detail: name of the profile or variable.
    """

    name: str
    value: str | float | bool | None
    source: str
    detail: str | None = None

    def cells(self) -> tuple[str, str, str]:
        value = self.value
        shown = (
            "-"
            if value is None
            else str(value).lower()
            if isinstance(value, bool)
            else f"{value:g}"
            if isinstance(value, float)
            else str(value)
        )
        return self.name, escaped(shown), escaped(f"{self.source} {self.detail}" if self.detail else self.source)

    def as_json(self) -> dict[str, str | float | bool | None]:
        return {"value": self.value, "source": self.source, "name": self.detail}


def _settings(server: ServerOptions) -> Iterator[_Row]:
    from aioconnections.cli.config_file import SETTINGS

    store = server.store()
    for name in SETTINGS:
        value = getattr(server, name)
        if isinstance(value, Path):
            value = str(value)
        if name == "shared" and store is not None and store.has_password:
            value = f"{store.place} (password not shown)"
        yield _Row(name, None if value == "" else value, *_source(server, name, value))


def _source(server: ServerOptions, name: str, value: object) -> tuple[str, str | None]:
    sources = server.profile
    source = sources.by_option.get(name)
    if source is None:
        return ("not set", None) if value in {None, ""} else ("default", None)
    if source == "profile":
        return ("default profile" if sources.is_default else "profile"), sources.profile
    return source, _ENVIRONMENT[name] if source == "environment" else f"--{name.replace('_', '-')}"


def _login(server: ServerOptions) -> tuple[_Row, list[str]]:
    """How a command would sign in, and notes about it; the secret is not shown."""
    sources, kinds = server.profile, {"token_file": "bearer token", "password_file": "password"}
    for option, kind in kinds.items():
        if getattr(server, option) is not None:
            return _Row("login", kind, option), []
    for variable in sources.environment:
        if variable == TOKEN or server.user:
            return _Row(
                "login", kinds["token_file" if variable == TOKEN else "password_file"], "environment", variable
            ), []
    notes = [
        f"{secret} is not used: {reason}"
        for secret, reason in sources.withheld.items()
        if secret in kinds or os.environ.get(secret)
    ]
    if not server.user:
        return _Row("login", None, "not set"), notes
    stored = _stored(server, notes)
    return _Row("login", "prompt", "no password is stored") if stored is None else stored, notes


def _stored(server: ServerOptions, notes: list[str]) -> _Row | None:
    """The password in the keyring; None without one. Why there is none is added to `notes`."""
    from aioconnections.cli.stored_logins import StoredLogins
    from aioconnections.errors import UsageError

    if not server.url:
        return None
    try:
        logins = StoredLogins.open()
        holder = logins.holder(server.origin(), server.user or "")
        if holder is not None:
            return _Row("login", "password", "keyring", holder)
        notes.append(f"the keyring is {logins.name}")
    except UsageError as error:
        notes.append(str(error))
    return None
