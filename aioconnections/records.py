"""The records of the domain: people, pairs, connections, profiles and invitations.

Values that cannot be sent are refused when a record is created, so later code need not validate them again. In this
domain a *connection* is a colleague relation, never a socket.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeAlias

from attrs import field

from aioconnections import identifiers
from aioconnections.errors import InvalidInputError
from aioconnections.reprs import frozen

__all__ = [
    "Connection",
    "Edge",
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
    """The status of a connection, seen from its source (protocol page "Checking whether two people are colleagues")."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    """The target has invited the source, who has not accepted or declined yet."""
    UNCONFIRMED = "unconfirmed"
    """The source has invited the target, who has not accepted or declined yet."""


@frozen
class Email:
    """A person by internet e-mail address. Compared case-insensitively, sent as given.

    Servers that hide e-mail addresses respond with 400: use `Userid` or `Key` there.

    Surrounding white space is removed. The value has one ``@`` with text on both sides. It must not hold white space,
    commas, brackets, colons, semicolons, backslashes, double quotes or invisible characters. So a list of addresses, an
    address with a name and a ``mailto:`` link are refused: a server would read the first as several people, and the
    others as an unknown person.

    Raises:
        InvalidInputError: the value is not the address of one person, or has more than 2,048 bytes in UTF-8. The
            message gives the position of the invalid character, and does not show the address.
    """

    kind: ClassVar[str] = "email"
    value: str = field(converter=identifiers.email, eq=str.lower)

    def __str__(self) -> str:
        return self.value


@frozen
class Userid:
    """A person by the directory's id, the text of ``<snx:userid>``. Compared and sent exactly as given.

    Surrounding white space is removed. The value may be a distinguished name, with spaces and commas.

    Raises:
        InvalidInputError: the value is empty, holds other white space, a control or an invisible character, or has more
            than 2,048 bytes in UTF-8.
    """

    kind: ClassVar[str] = "userid"
    value: str = field(converter=identifiers.userid)

    def __str__(self) -> str:
        return self.value


@frozen
class Key:
    """A person by the id that Profiles assigned. Compared case-insensitively, sent as given.

    Surrounding white space is removed.

    Raises:
        InvalidInputError: the value is empty, holds white space, a comma, a control or an invisible character, or has
            more than 2,048 bytes in UTF-8.
    """

    kind: ClassVar[str] = "key"
    value: str = field(converter=identifiers.key, eq=str.lower)

    def __str__(self) -> str:
        return self.value


Identity: TypeAlias = Email | Userid | Key
# Used for each item of a run: isinstance is five times faster with a tuple than with a union.
_IDENTITIES = (Email, Userid, Key)


@frozen
class Person:
    """A person as the server describes them; missing values are None.

    Attributes:
        name: display name.
        userid: the directory's id.
        key: the id that Profiles assigned.
        email: None where the server hides e-mail addresses.
        state: ``active`` or ``inactive``.
        external: whether the person is a guest from outside the organisation (from version 5.0 on).
    """

    name: str | None = None
    userid: Userid | None = None
    key: Key | None = None
    email: Email | None = None
    state: str | None = None
    external: bool | None = None

    @property
    def identity(self) -> Identity:
        """The preferred identity: userid, else key, else e-mail address.

        Raises:
            InvalidInputError: the person has none.
        """
        found = self.userid or self.key or self.email
        if found is None:
            raise InvalidInputError("the person has no userid, key or e-mail address")
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
    raise InvalidInputError(f"expected Email, Userid, Key or Person, got {type(who).__name__}")


def _other_than_source(pair: Pair, _: Any, target: Identity) -> None:
    source = pair.source
    if type(source) is type(target) and source == target:
        raise InvalidInputError("source and target are the same person")


@frozen
class Pair:
    """Two people: the source, whose connections are examined, and the target.

    Each is given as an identity or as a `Person`, and kept as an identity.

    Raises:
        InvalidInputError: both are the same person, or one is neither an identity nor a `Person` with one.
    """

    source: Identity = field(converter=identity_of)
    target: Identity = field(converter=identity_of, validator=_other_than_source)


@frozen
class Connection:
    """A colleague connection, seen from its source (protocol page "Colleague connection entry content").

    Attributes:
        id: the connection id, without the prefix of the entry id; None if neither the entry's id nor its links have it.
        status: None if the entry names no known status.
        source: the person whose connections are examined, regardless of who sent the invitation.
        target: the other person.
        message: text of the invitation; empty unless the source requested it.
        title: display name of the target.
        updated: aware, or None.
        author: author of the entry; not always the source or the inviter.
        contributor: contributor of the entry; not always the source or the inviter.
        self_href: URL of the entry.
        edit_href: URL for changing and deleting the entry.
        message_type: format of the message: ``text``, ``html`` or ``xhtml``.
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
class Edge:
    """Two members of a group who are connected; see `Client.network`.

    Attributes:
        source: the member that comes first in the group, as given.
        target: the other member, as given.
        status: the status, seen from the member whose list was read first.
        updated: when the connection was last changed, which for a colleague is usually when the invitation was
            accepted. Aware; None if the server does not say it, and in a run that is resumed from a journal.
        seen_from: whether the lists of both members name the other, or only one of them.
        disputed: whether both lists were read and only one names the other: the connection was just made or ended, or
            one of the two lists hides it.
    """

    source: Identity
    target: Identity
    status: Status | None = field(kw_only=True)
    updated: datetime | None = field(default=None, kw_only=True)
    seen_from: Literal["both", "one"] = field(default="both", kw_only=True)
    disputed: bool = field(default=False, kw_only=True)


@frozen
class Profile:
    """The profile of a person, from an hCard or vCard, lite or full.

    Attributes:
        person: the person and their identities.
        job_title: the person's job title.
        profile_type: type of the profile.
        uid: the login id that some servers show; requests do not accept it.
        updated: aware, or None.
        properties: all properties of the card, in order. Names are the classes of the hCard or the properties of the
            vCard in lower case without parameters (``fn``, ``tel``, ``x-profile-key``, ``x_profile_key``).
        self_href: URL of the entry.
        edit_href: URL for changing the entry.
        image_href: URL of the photo.
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
        """The value of the first property with this name, or None."""
        return next((value for key, value in self.properties if key == name), None)


@frozen
class Invitation:
    """An invitation into a community (protocol page "Invitation content").

    Attributes:
        id: id of the entry.
        community_uuid: None if neither a link nor the id contains it.
        title: title of the entry, set by the server or the inviter.
        inviter: the person who sent the invitation.
        invitee: the invited person.
        message: text of the invitation.
        updated: aware, or None.
        self_href: URL of the entry, to be used unchanged: the ``userid`` in it is not a directory id.
        edit_href: URL for declining or revoking the invitation.
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
        key: the id that Profiles assigned, taken from the links.
        colleagues_href: URL of the person's colleague feed, to which an invitation is also posted.
        links: relation and href of each link, in order; hrefs that are percent-encoded as a whole are decoded.
    """

    userid: Userid | None
    key: Key | None
    colleagues_href: str | None = None
    links: tuple[tuple[str, str], ...] = ()

    def href(self, rel: str) -> str | None:
        """The href of the first link with this relation, or None."""
        return next((href for name, href in self.links if name == rel), None)


@frozen
class ErrorDocument:
    """An error document of an application.

    Attributes:
        code: content of the code element, often the HTTP status; None if empty.
        message: the message, localised, without surrounding white space.
        message_id: the vendor's id at the start of the message (``CLFRN1172E``), the only part fit for comparison.
    """

    code: str | None = None
    message: str = ""
    message_id: str | None = None
