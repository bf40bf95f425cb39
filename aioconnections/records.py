"""The vocabulary of the domain: who a person is, and what stands between two of them.

A record is valid once it exists: what cannot be sent is refused when it is made, so that no later code looks again.
In this domain a *connection* is a colleague relation, never a socket.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from attrs import field, frozen

from aioconnections.errors import InvalidInputError

__all__ = ["Email", "Identity", "Key", "Pair", "Person", "Status", "Userid", "identity_of"]


class Status(StrEnum):
    """What a connection is, seen from its source (protocol page "Checking whether two people are colleagues")."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    """The source was invited by the target and has not answered yet."""
    UNCONFIRMED = "unconfirmed"
    """The source has invited the target, who has not answered yet."""


def _identifier(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"an identity is text, not {type(value).__name__}")
    text = value.strip()
    if not text:
        raise InvalidInputError("an identity must not be empty")
    if not text.isprintable() and any(unicodedata.category(c) in {"Cc", "Cs"} for c in text):
        raise InvalidInputError("an identity must not hold control characters or lone surrogates")
    return text


@frozen
class Email:
    """A person by internet e-mail address. Compared without regard to case, sent as given.

    Servers that hide e-mail addresses answer 400 to it: use `Userid` or `Key` there.

    Raises:
        InvalidInputError: the value is empty or holds control characters.
    """

    kind: ClassVar[str] = "email"
    value: str = field(converter=_identifier, eq=str.casefold)

    def __str__(self) -> str:
        return self.value


@frozen
class Userid:
    """A person by the directory's id, the text of ``<snx:userid>``. Any text; compared and sent exactly as given.

    Raises:
        InvalidInputError: the value is empty or holds control characters.
    """

    kind: ClassVar[str] = "userid"
    value: str = field(converter=_identifier)

    def __str__(self) -> str:
        return self.value


@frozen
class Key:
    """A person by the id that Profiles itself gave them. Compared without regard to case, sent as given.

    Raises:
        InvalidInputError: the value is empty or holds control characters.
    """

    kind: ClassVar[str] = "key"
    value: str = field(converter=_identifier, eq=str.casefold)

    def __str__(self) -> str:
        return self.value


Identity: TypeAlias = Email | Userid | Key


@frozen
class Person:
    """A person as the server names them; what it did not say is None.

    Attributes:
        name: display name.
        userid: the directory's id.
        key: the id that Profiles itself gave.
        email: absent where the server hides e-mail addresses.
        state: ``active`` or ``inactive``.
        external: whether this is a guest from outside the organisation (servers from 5.0).
    """

    name: str | None = None
    userid: Userid | None = None
    key: Key | None = None
    email: Email | None = None
    state: str | None = None
    external: bool | None = None

    @property
    def identity(self) -> Identity:
        """The identity that is best to send: userid, else key, else e-mail.

        Raises:
            InvalidInputError: none of them is known.
        """
        found = self.userid or self.key or self.email
        if found is None:
            raise InvalidInputError("this person has neither a userid nor a key nor an e-mail address")
        return found


def identity_of(who: Identity | Person) -> Identity:
    """The identity to send for `who`.

    Raises:
        InvalidInputError: `who` is something else, or a person without any identity.
    """
    if isinstance(who, Email | Userid | Key):
        return who
    if isinstance(who, Person):
        return who.identity
    raise InvalidInputError(f"expected Email, Userid, Key or Person, not {type(who).__name__}")


def _other_than_source(pair: Pair, _: Any, target: Identity) -> None:
    if pair.source == target:
        raise InvalidInputError("source and target are the same person")


@frozen
class Pair:
    """Two people: the one whose connections are looked at, and the other one.

    Each is given as an identity or as a `Person`, and kept as an identity.

    Raises:
        InvalidInputError: both are the same, or one of them is no identity.
    """

    source: Identity = field(converter=identity_of)
    target: Identity = field(converter=identity_of, validator=_other_than_source)
