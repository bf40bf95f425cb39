"""The vocabulary of the domain: who a person is, and what stands between two of them.

A record is valid once it exists: what cannot be sent is refused when it is made, so that no later code looks again.
In this domain a *connection* is a colleague relation, never a socket.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from attrs import field, frozen

from aioconnections import identifiers
from aioconnections.errors import InvalidInputError

__all__ = [
    "Connection",
    "Email",
    "ErrorDocument",
    "Identity",
    "Invitation",
    "Key",
    "Pair",
    "Person",
    "Profile",
    "ServiceDocument",
    "Status",
    "Userid",
    "identity_of",
]


class Status(StrEnum):
    """What a connection is, seen from its source (protocol page "Checking whether two people are colleagues")."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    """The source was invited by the target and has not answered yet."""
    UNCONFIRMED = "unconfirmed"
    """The source has invited the target, who has not answered yet."""


@frozen
class Email:
    """A person by internet e-mail address. Compared without regard to case, sent as given.

    Servers that hide e-mail addresses answer 400 to it: use `Userid` or `Key` there.

    White space around the value is removed. The value has one ``@`` with text on both sides. It holds no white space,
    comma, bracket, colon, semicolon, backslash or double quote, and nothing invisible. So a list of addresses, an
    address with a name, and a ``mailto:`` link are refused: a server takes the first for several people, and the other
    two for an unknown person.

    Raises:
        InvalidInputError: the value is no address of one person, or has more than 2,048 bytes in UTF-8. The message
            names the character by its position and not the address.
    """

    kind: ClassVar[str] = "email"
    value: str = field(converter=identifiers.email, eq=str.casefold)

    def __str__(self) -> str:
        return self.value


@frozen
class Userid:
    """A person by the directory's id, the text of ``<snx:userid>``. Compared and sent exactly as given.

    White space around the value is removed. The value may be a distinguished name, with spaces and commas in it.

    Raises:
        InvalidInputError: the value is empty, holds other white space, a control character or something invisible, or
            has more than 2,048 bytes in UTF-8.
    """

    kind: ClassVar[str] = "userid"
    value: str = field(converter=identifiers.userid)

    def __str__(self) -> str:
        return self.value


@frozen
class Key:
    """A person by the id that Profiles itself gave them. Compared without regard to case, sent as given.

    White space around the value is removed.

    Raises:
        InvalidInputError: the value is empty, holds white space, a comma, a control character or something invisible,
            or has more than 2,048 bytes in UTF-8.
    """

    kind: ClassVar[str] = "key"
    value: str = field(converter=identifiers.key, eq=str.casefold)

    def __str__(self) -> str:
        return self.value


Identity: TypeAlias = Email | Userid | Key
_IDENTITIES = (Email, Userid, Key)  # asked for each item of a run: a tuple is five times as cheap as a union


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
    if isinstance(who, _IDENTITIES):
        return who
    if isinstance(who, Person):
        return who.identity
    raise InvalidInputError(f"expected Email, Userid, Key or Person, not {type(who).__name__}")


def _other_than_source(pair: Pair, _: Any, target: Identity) -> None:
    source = pair.source
    if type(source) is type(target) and source == target:
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


@frozen
class Connection:
    """A colleague connection, seen from its source (protocol page "Colleague connection entry content").

    Attributes:
        id: the bare connection id, without the prefix that the entry id has; None if the entry has no such id.
        status: None if the entry names none that is known.
        source: the person whose connections are looked at, no matter who invited.
        target: the other one.
        message: of the invitation; empty unless the source asked for it.
        title: display name of the target.
        updated: aware, or None.
        author: who the entry names as author; neither always the source nor always the inviter.
        contributor: likewise.
        self_href: where the entry is.
        edit_href: where it can be changed and deleted.
        message_type: how the message is to be read: ``text`` as it is, ``html`` as HTML, ``xhtml`` as markup.
    """

    id: str | None
    status: Status | None
    source: Person
    target: Person
    message: str = ""
    title: str = ""
    updated: datetime | None = None
    author: Person | None = None
    contributor: Person | None = None
    self_href: str | None = None
    edit_href: str | None = None
    message_type: str = "text"


@frozen
class Profile:
    """What the server says of a person in an hCard or a vCard, lite or full.

    Attributes:
        person: who it is.
        job_title: of the person.
        profile_type: which kind of profile it is.
        uid: the login id that some servers show; no request accepts it.
        updated: aware, or None.
        properties: all that the card holds, in its order. Names are the classes of the hCard or the properties of the
            vCard in lower case without parameters (``fn``, ``tel``, ``x-profile-key``, ``x_profile_key``).
        self_href: where the entry is.
        edit_href: where it can be changed.
        image_href: the photo.
    """

    person: Person
    job_title: str | None = None
    profile_type: str | None = None
    uid: str | None = None
    updated: datetime | None = None
    properties: tuple[tuple[str, str], ...] = ()
    self_href: str | None = None
    edit_href: str | None = None
    image_href: str | None = None

    def get(self, name: str) -> str | None:
        """The first property of that name, or None."""
        return next((value for key, value in self.properties if key == name), None)


@frozen
class Invitation:
    """An invitation into a community (protocol page "Invitation content").

    Attributes:
        id: of the entry.
        community_uuid: None if neither a link nor the id tells it.
        title: as the server or the inviter wrote it.
        inviter: who sent it.
        invitee: who is invited.
        message: text of the invitation.
        updated: aware, or None.
        self_href: where the entry is; the ``userid`` in it is no directory id, so it is to be used as it is.
        edit_href: where it can be declined or revoked.
    """

    id: str | None
    community_uuid: str | None
    title: str = ""
    inviter: Person | None = None
    invitee: Person | None = None
    message: str = ""
    updated: datetime | None = None
    self_href: str | None = None
    edit_href: str | None = None


@frozen
class ServiceDocument:
    """The Profiles service document of a person.

    Attributes:
        userid: the directory's id of the person.
        key: the id that Profiles itself gave, which only the links tell.
        colleagues_href: the person's colleague feed, which is also where an invitation to them is posted.
        links: relation and href of each link, in order; hrefs that came percent-encoded as a whole are decoded.
    """

    userid: Userid | None
    key: Key | None
    colleagues_href: str | None = None
    links: tuple[tuple[str, str], ...] = ()

    def href(self, rel: str) -> str | None:
        """The href of the first link of that relation, or None."""
        return next((href for name, href in self.links if name == rel), None)


@frozen
class ErrorDocument:
    """What an application of the server says of a failure.

    Attributes:
        code: as the document has it, often the HTTP status; None if empty.
        message: localised, without the blanks around it.
        message_id: the vendor's id that the message begins with (``CLFRN1172E``), the only part to compare.
    """

    code: str | None = None
    message: str = ""
    message_id: str | None = None
