"""The settings of a store that processes share."""

from __future__ import annotations

import os
import re
from typing import cast
from urllib.parse import urlsplit

from attrs import field

from aioconnections.errors import InvalidInputError
from aioconnections.reprs import frozen

__all__ = ["SECRET_VARIABLE", "RedisShared", "Share"]

SECRET_VARIABLE = "AIOCONNECTIONS_SHARED_SECRET"  # noqa: S105 # the name of a variable
_SCHEMES = ("redis", "rediss", "unix")
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHORTEST_SECRET = 16


@frozen
class Share:
    """What a client does while the store is away: it keeps to its part of the rate.

    Args:
        processes: number of processes among which the rate is divided. It must not be less than the number of those
            that run, or together they exceed the rate.

    Raises:
        InvalidInputError: `processes` is not an integer of at least 1.
    """

    processes: int

    def __attrs_post_init__(self) -> None:
        count: object = self.processes
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            shown = count if isinstance(count, int | float) else type(count).__name__
            raise InvalidInputError(f"Share must be given an integer of at least 1, got {shown}")


@frozen
class RedisShared:
    """A Redis server through which the clients of several processes share what they know about a Connections server.

    Clients with the same Redis server and `namespace` share

    - the rate: together they start at most `max_per_second` requests per second. If the clients allow different rates
      and bursts, the lowest holds for all of them. A client that does not respond for a minute does not count;
    - pauses that the server asks for with ``Retry-After``, and the beginning of an outage;
    - with a `secret`, refused logins: one process sends a wrong password once, and no other one sends it within 15
      minutes. Redis receives a keyed digest (HMAC-SHA256) of the login, and never a credential or the name of a person.

    It needs asyncio, the package of the extra ``[redis]``, and Redis 7 or newer, or a server that is compatible.

    Args:
        url: ``redis://host:6379/0``, ``rediss://…`` for TLS, or ``unix:///path/to/socket``; with user and password if
            Redis demands them. Options of redis-py may follow after a question mark.
        namespace: name of what is shared; one for each Connections server. Letters, digits and ``. _ -``, at most 64.
        secret: key of the digests of logins, at least 16 characters, the same in all processes; by default the
            environment variable ``AIOCONNECTIONS_SHARED_SECRET``. Without one, refused logins are not shared.
        fallback: what to do while Redis is away: a `Share`, or None to raise `SharedStoreError`. Single calls wait for
            Redis for two seconds, and bulk runs as long as for the server, `Timeouts.outage`.

    Raises:
        InvalidInputError: an argument is invalid.
    """

    url: str = field(repr=False)  # may hold a password
    namespace: str = "aioconnections"
    secret: str | None = field(default=None, repr=False, kw_only=True)
    fallback: Share | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        self._check_url()
        namespace: object = self.namespace
        if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
            raise InvalidInputError("namespace must be 1 to 64 letters, digits, dots, hyphens and underscores of ASCII")
        if self.secret is not None:
            _check_secret("secret", self.secret)
        if self.fallback is not None and not isinstance(cast("object", self.fallback), Share):
            raise InvalidInputError(f"fallback must be a Share or None, got {type(self.fallback).__name__}")

    def _check_url(self) -> None:
        url: object = self.url
        if not isinstance(url, str):
            raise InvalidInputError(f"the URL of Redis must be text, got {type(url).__name__}")
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise InvalidInputError("the URL of Redis is invalid; an example is redis://localhost:6379/0") from None
        if parts.scheme not in _SCHEMES or not (parts.hostname or (parts.scheme == "unix" and parts.path)):
            raise InvalidInputError(
                "the URL of Redis must begin with redis://, rediss:// or unix://, followed by the server"
            )

    @property
    def place(self) -> str:
        """Where Redis is, without a login."""
        parts = urlsplit(self.url)
        return parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"

    @property
    def has_password(self) -> bool:
        """Whether the URL holds a password."""
        return urlsplit(self.url).password is not None or "password=" in urlsplit(self.url).query

    def key(self) -> bytes | None:
        """The key of the digests of logins; None if logins are not shared.

        Raises:
            InvalidInputError: the environment variable is too short.
        """
        secret = self.secret or os.environ.get(SECRET_VARIABLE)
        if not secret:
            return None
        _check_secret(SECRET_VARIABLE, secret)
        return secret.encode("utf-8", errors="surrogateescape")


def _check_secret(name: str, secret: object) -> None:
    if not isinstance(secret, str) or len(secret) < _SHORTEST_SECRET:
        raise InvalidInputError(f"{name} must be text of at least {_SHORTEST_SECRET} characters")
