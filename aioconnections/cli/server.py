"""The options that say which server, as whom, and how fast."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from aioconnections.auth import Auth, Basic, Bearer
from aioconnections.client import Client
from aioconnections.errors import InvalidInputError

__all__ = ["Server"]

_GROUP = Group("Server")


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class Server:
    """Which server, as whom, and how fast. Secrets come from a file or the environment, never from an argument."""

    url: Annotated[str, Parameter(env_var="AIOCONNECTIONS_URL")]
    """Base URL, such as https://connections.example.com"""
    user: Annotated[str | None, Parameter(env_var="AIOCONNECTIONS_USER")] = None
    """Login name. The password comes from --password-file, from AIOCONNECTIONS_PASSWORD, or is asked for."""
    password_file: Path | None = None
    """File whose first line is the password."""
    token_file: Path | None = None
    """File whose first line is a bearer token; or set AIOCONNECTIONS_TOKEN."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's."""
    max_connections: int = 16
    """Requests under way at once."""
    max_per_second: float = 100
    """Requests started per second; 0 for no limit."""

    def client(self) -> Client:
        """A client for these options.

        Raises:
            InvalidInputError: an option that cannot be used, or a secret that is missing.
        """
        return Client(
            self.url,
            auth=self._auth(),
            max_connections=self.max_connections,
            max_per_second=self.max_per_second or None,
            verify=self.ca_file or True,
        )

    def _auth(self) -> Auth | None:
        token = _first_line(self.token_file) if self.token_file else os.environ.get("AIOCONNECTIONS_TOKEN")
        if token:
            return Bearer(token)
        if self.user is None:
            return None
        if self.password_file:
            return Basic(self.user, _first_line(self.password_file))
        password = os.environ.get("AIOCONNECTIONS_PASSWORD")
        if password is None and sys.stdin.isatty():
            password = getpass.getpass(f"Password of {self.user}: ")
        if password is None:
            raise InvalidInputError("a password is missing: use --password-file, or set AIOCONNECTIONS_PASSWORD")
        return Basic(self.user, password)


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeError):
        problem = f"{path} cannot be read as text"
    raise InvalidInputError(problem)
