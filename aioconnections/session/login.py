"""The credential of one signed-in user: requested once, and renewed after the server refuses it."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from aioconnections.auth.credentials import Auth, Send
from aioconnections.errors import ConnectionsError, DeadlineError
from aioconnections.protocol.messages import NO_HEADERS, Headers
from aioconnections.session.call_context import CallContext
from aioconnections.session.telemetry import LOG

__all__ = ["Login"]


class Login:
    """The headers that requests are sent with, and how to get the credential among them.

    Args:
        auth: gives the credential; None for requests without one.
        constant: the headers of every request.
        send: sends the requests of `auth` itself.
        seconds: how long `auth` may take.
        on_renewal: called after the credential was renewed.

    Attributes:
        credential: the latest credential that `auth` gave.
        request_headers: the constant headers and the credential; None before there is a credential.
        is_ready: whether requests may be sent: there is a credential, and it is not being renewed.
        is_untried: whether the credential was renewed and no request with it has been accepted since.
    """

    __slots__ = (
        "_on_renewal", "_pending", "_seconds", "_send", "auth", "constant", "credential", "is_ready", "is_untried",
        "request_headers",
    )  # fmt: skip

    def __init__(
        self, auth: Auth | None, constant: Headers, send: Send, seconds: float, on_renewal: Callable[[], object]
    ) -> None:
        self.auth: Auth | None = auth
        self.constant: Headers = constant
        self.credential: Headers = NO_HEADERS
        self.request_headers: Headers | None = constant if auth is None else None
        self.is_ready: bool = auth is None
        self.is_untried: bool = False
        self._send = send
        self._seconds = seconds
        self._on_renewal = on_renewal
        self._pending: anyio.Event | None = None  # set when `auth` has returned

    @property
    def is_pending(self) -> bool:
        """Whether `auth` has been asked and has not returned."""
        return self._pending is not None

    def accepted(self, sent: Headers) -> None:
        """Note that the server accepted a request with the headers `sent`."""
        if sent is self.request_headers:
            self.is_untried = False

    async def sign_in(self, context: CallContext) -> None:
        """Wait until there is a credential that is not being renewed.

        Raises:
            ConnectionsError: `auth` gave none, or not in time.
        """
        while self._pending is not None:
            await self._pending.wait()
        if self.request_headers is None:
            if context.elapsed >= self._seconds:  # another request has waited for `auth` as long
                raise self._late()
            self._use(await self._ask(None))

    async def renew(self, refused: Headers) -> bool:
        """Renew the credential after a 401; returns whether there is one other than in the `refused` headers."""
        while self._pending is not None:
            await self._pending.wait()
        if self.request_headers is not refused:
            return True  # another request has renewed it meanwhile
        if self.auth is None or self.is_untried:
            return False
        try:
            credential = await self._ask(self.credential)
        except ConnectionsError:
            return False
        except Exception as error:  # noqa: BLE001 # raised by the caller's own code; the 401 stands
            LOG.warning("the login was not renewed: auth.headers raised %s", type(error).__name__)
            return False
        if credential == self.credential:
            return False
        self._use(credential)
        self.is_untried = True
        self._on_renewal()
        return True

    async def _ask(self, refused: Headers | None) -> Headers:
        assert self.auth is not None  # noqa: S101 # the callers have checked
        pending = self._pending = anyio.Event()
        self.is_ready = False
        try:
            with anyio.move_on_after(self._seconds):
                return await self.auth.headers(self._send, refused)
        finally:
            self._pending = None
            self.is_ready = self.request_headers is not None
            pending.set()
        raise self._late()

    def _late(self) -> DeadlineError:
        return DeadlineError(f"auth returned no credential within {self._seconds:g} s", sent="no")

    def _use(self, credential: Headers) -> None:
        self.credential = credential
        self.request_headers = self.constant + credential
        self.is_ready = True

    def __repr__(self) -> str:
        return f"Login({'not signed in' if self.request_headers is None else 'signed in'})"
