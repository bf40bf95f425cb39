"""Whether a credential may be used.

Accounts lock after a few wrong passwords, so a credential is proved by one request alone, the *canary*, before any
other goes out, and the first refusal closes the gate for good: nothing more is sent with it.
"""

from __future__ import annotations

from copy import copy

from aioconnections.errors import AuthenticationError

__all__ = ["Gate"]

_HOLDS = 600.0


class Gate:
    """The state of one credential: not proved, proved until some time, or refused."""

    __slots__ = ("_doubts", "_until", "refusal")

    def __init__(self) -> None:
        self.refusal: AuthenticationError | None = None
        self._until = float("-inf")
        self._doubts = 0

    def wants_proof(self, now: float, doubts: int) -> bool:
        """Whether the canary has to go first, where a login could have been lost `doubts` times so far."""
        return self.refusal is None and (now >= self._until or doubts != self._doubts)

    def proved(self, now: float, doubts: int) -> None:
        """The canary came back: the credential counts as good for ten minutes, and until the next doubt."""
        self._until = now + _HOLDS
        self._doubts = doubts

    def close(self, refusal: AuthenticationError) -> None:
        """The server refused the credential; the first refusal is the one that is told."""
        if self.refusal is None:
            self.refusal = refusal

    def check(self) -> None:
        """Let pass, or refuse.

        Raises:
            AuthenticationError: the server refused this credential before.
        """
        if self.refusal is not None:
            raise copy(self.refusal)

    def __repr__(self) -> str:
        return f"Gate({'closed' if self.refusal else 'open'})"
