"""Decides whether a credential may be used.

Accounts lock after a few wrong passwords, so one request alone, the *canary*, proves a credential before others are
sent, and the first refusal closes the gate for good: nothing more is sent with the credential.
"""

from __future__ import annotations

from copy import copy

from aioconnections.errors import AuthenticationError

__all__ = ["Gate"]

_HOLDS = 600.0  # seconds for which a proof is valid


class Gate:
    """The state of one credential: not proved, proved, or refused.

    Attributes:
        refusal: the error with which the server refused the credential; None if it has not.
        proved_until: time at which the last proof expires.
        doubts_at_proof: number of events before the last proof after which a login may have been lost; a further event
            ends the proof.
    """

    __slots__ = ("doubts_at_proof", "proved_until", "refusal")

    def __init__(self) -> None:
        self.refusal: AuthenticationError | None = None
        self.proved_until: float = float("-inf")
        self.doubts_at_proof: int = 0

    def proved(self, now: float, doubts: int) -> None:
        """Record that the canary succeeded: the credential counts as good for ten minutes, until the next doubt."""
        self.proved_until = now + _HOLDS
        self.doubts_at_proof = doubts

    def close(self, refusal: AuthenticationError) -> None:
        """Record that the server refused the credential; the first refusal is kept."""
        if self.refusal is None:
            self.refusal = refusal

    def check(self) -> None:
        """Raise if the gate is closed.

        Raises:
            AuthenticationError: the server refused this credential before.
        """
        if self.refusal is not None:
            raise copy(self.refusal)

    def __repr__(self) -> str:
        return f"Gate({'closed' if self.refusal else 'open'})"
