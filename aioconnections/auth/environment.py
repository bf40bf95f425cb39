"""Credentials from the environment, by the same rules for the command line and for the workers of a cluster.

A token takes precedence over a user and a password. An empty variable counts as a missing one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from aioconnections.auth.credentials import Auth, Basic, Bearer
from aioconnections.errors import InvalidInputError
from aioconnections.transport.tls import ClientCert

__all__ = ["client_cert_of", "client_cert_of_environment", "login", "login_of_environment"]

_USER = "AIOCONNECTIONS_USER"
_PASSWORD = "AIOCONNECTIONS_PASSWORD"  # noqa: S105 # the name of a variable
_TOKEN = "AIOCONNECTIONS_TOKEN"  # noqa: S105 # the name of a variable
_CERT = "AIOCONNECTIONS_CLIENT_CERT"
_KEY = "AIOCONNECTIONS_CLIENT_KEY"
_KEY_PASSWORD = "AIOCONNECTIONS_CLIENT_KEY_PASSWORD"  # noqa: S105 # the name of a variable


def login(
    user: str | None,
    *,
    oauth_paths: bool,
    ask: Callable[[str], str],
    environment: Mapping[str, str] = os.environ,
) -> Auth | None:
    """The token in the environment, or else `user` with the password there; None without either.

    Args:
        user: login name.
        oauth_paths: whether the token is for the paths for OAuth.
        ask: gives the password of a user if the environment has none.
        environment: the variables.

    Raises:
        InvalidInputError: the user or a secret is invalid, or raised by `ask`.
    """
    found = environment.get(_TOKEN)
    if found:
        return Bearer(found, oauth_paths=oauth_paths)
    if not user:
        return None
    _ = Basic(user, "")  # refuses an invalid user before the prompt
    return Basic(user, environment.get(_PASSWORD) or ask(user))


def login_of_environment(*, oauth_paths: bool = True) -> Auth:
    """The login in the environment alone, for a process that cannot ask.

    Raises:
        InvalidInputError: it is missing or invalid.
    """

    def refuse(user: str) -> str:
        del user
        raise InvalidInputError(f"the password is missing: set {_PASSWORD} in the environment of each worker")

    found = login(os.environ.get(_USER), oauth_paths=oauth_paths, ask=refuse)
    if found is None:
        raise InvalidInputError(
            f"the login is missing: set {_USER} and {_PASSWORD}, or {_TOKEN}, in the environment of each worker"
        )
    return found


def client_cert_of(cert: str | os.PathLike[str] | None, key: str | os.PathLike[str] | None) -> ClientCert | None:
    """A client certificate and its key, with the password of the key that the environment has; None without a file."""
    if cert is None or key is None:
        return None
    files = os.fspath(cert), os.fspath(key)
    password = os.environ.get(_KEY_PASSWORD)
    return files if password is None else (*files, password)


def client_cert_of_environment() -> ClientCert | None:
    """The client certificate that the environment names."""
    return client_cert_of(os.environ.get(_CERT) or None, os.environ.get(_KEY) or None)
