"""The credential of one signed-in user: asked for once, and once more after it was refused, for all who wait."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from aioconnections.auth.credentials import Auth, Send
from aioconnections.errors import ConnectionsError, DeadlineError
from aioconnections.protocol.messages import NO_HEADERS, Headers
from aioconnections.session.runtime import CallContext
from aioconnections.session.telemetry import LOG

__all__ = ["Login"]


class Login:
    """What requests are signed with, and how to get it.

    Args:
        auth: gives the credential; None for nobody.
        constant: the headers that go with every request.
        send: what the `auth` sends its own requests with.
        seconds: as long as the `auth` may take.
    """

    __slots__ = (
        "_asking", "_seconds", "_send", "_untried", "auth", "constant", "credential", "on_renewal", "signed",
    )  # fmt: skip

    def __init__(self, auth: Auth | None, constant: Headers, send: Send, seconds: float) -> None:
        self.auth: Auth | None = auth
        self.constant: Headers = constant
        self._send = send
        self._seconds = seconds
        self._asking: anyio.Event | None = None  # set when the `Auth` has done its work
        self._untried = False  # the credential was renewed and no answer has accepted it yet
        self.signed: Headers | None = constant if auth is None else None
        """The constant headers and the credential; None as long as there is none."""
        self.credential: Headers = NO_HEADERS
        self.on_renewal: Callable[[], None] = lambda: None

    @property
    def is_ready(self) -> bool:
        """Whether there is a credential, and nobody is at work on a better one."""
        return self._asking is None and self.signed is not None

    def accepted(self, signed: Headers) -> None:
        """A request that was signed like this was answered."""
        if self._untried and signed is self.signed:
            self._untried = False

    async def sign_in(self, context: CallContext) -> None:
        """Wait until there is a credential, and nobody is at work on a better one.

        Raises:
            ConnectionsError: there is none.
        """
        while self._asking is not None:
            await self._asking.wait()
        if self.signed is None:
            if context.elapsed >= self._seconds:  # somebody else has asked in vain for as long
                raise self._late()
            self._use(await self._ask(None))

    async def renew(self, refused: Headers) -> bool:
        """After a 401 to `refused`: whether there is another credential now."""
        while self._asking is not None:
            await self._asking.wait()
        if self.signed is not refused:
            return True  # somebody else has renewed it meanwhile
        if self.auth is None or self._untried:
            return False
        try:
            credential = await self._ask(self.credential)
        except ConnectionsError:
            return False
        except Exception as error:  # noqa: BLE001 # of the caller's own code, and no better login either
            LOG.warning("a login was not renewed: its Auth has raised %s", type(error).__name__)
            return False
        if credential == self.credential:
            return False
        self._use(credential)
        self._untried = True
        self.on_renewal()
        return True

    async def _ask(self, refused: Headers | None) -> Headers:
        assert self.auth is not None  # noqa: S101 # without one there is nothing to sign in
        asking = self._asking = anyio.Event()
        try:
            with anyio.move_on_after(self._seconds):
                return await self.auth.headers(self._send, refused)
        finally:
            self._asking = None
            asking.set()
        raise self._late()

    def _late(self) -> DeadlineError:
        return DeadlineError(f"not done within {self._seconds:g} s", sent="no")

    def _use(self, credential: Headers) -> None:
        self.credential = credential
        self.signed = self.constant + credential

    def __repr__(self) -> str:
        return f"Login({'signed in' if self.signed is not None else 'not yet'})"
