"""Listings of several pages: the next request, the records of a page, and the end of the listing.

The metadata of a page is unreliable (all recorded): ``fh:complete`` occurs in incomplete feeds, pages may be smaller
than requested, and some feeds have no total. A page is the last one if it has no link to a next page and the total is
reached. Entries have moved to pages already read if the total shrinks between two pages, or if there are fewer records
than the total at the end. Then all pages are read again, at most five times in all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, Protocol, TypeVar

from attrs import frozen

from aioconnections import atom
from aioconnections.errors import InvalidInputError, NotFoundError, UnexpectedResponseError
from aioconnections.protocol.address import Address, keeps_parameters
from aioconnections.protocol.discovery import profile
from aioconnections.protocol.entries import (
    bare_id,
    connection_from,
    ends_of,
    invitation_from,
    may_be,
    person_from_cached,
    query_value,
    status_of,
)
from aioconnections.protocol.messages import NO_CACHE, Flow, Request, Response, encode
from aioconnections.protocol.people import profile_from
from aioconnections.protocol.responses import expect
from aioconnections.records import Connection, Identity, Invitation, Person, Profile, Status

__all__ = [
    "Colleague",
    "FeedPager",
    "Pager",
    "WholePager",
    "colleagues",
    "in_common",
    "invitations",
    "lean_colleagues",
    "search",
    "verified_person",
    "whole_colleagues",
    "whole_lean_colleagues",
]

R = TypeVar("R")

_LARGEST_PAGE = 250  # inferred from clients, and from the vendor's search sample
_INVITATIONS = 50  # entries per request; the largest page of Communities is unknown
_MOST_SWEEPS = 5
_LEAN_FIELDS = ("id", "categories", "connection")
_FIRST_TO_REFUSE = 5  # recorded: from this version on, the list of an unknown person is refused


@frozen
class Colleague:
    """The other person of a connection, and its status.

    Attributes:
        person: the target, with those identities that the feed names and that can be sent.
        status: None if the entry names no known status.
        source: the person to whom the list belongs, as the entry describes them.
    """

    person: Person
    status: Status | None
    source: Person


class Pager(Protocol[R]):
    """A listing of several pages. Calling `next_request` again before `end` restarts the page.

    Attributes:
        people: the people that the requests name.
    """

    people: tuple[Identity, ...]

    def next_request(self) -> Request | None:
        """The request for the next page; None after the last."""
        ...

    def begin(self, response: Response) -> None:
        """Begin a page with the head of its response (for an error, the whole response).

        Raises:
            ResponseError: the response is not the page.
        """
        ...

    def feed(self, chunk: bytes) -> list[R]:
        """Parse bytes of the page; return the records that they complete.

        Raises:
            AtomError: the page is not acceptable Atom.
            UnexpectedResponseError: an entry belongs to the list of another person.
        """
        ...

    def end(self) -> list[R]:
        """End the page; return the records that its end completes.

        Raises:
            AtomError: the page is incomplete.
        """
        ...


class FeedPager(Generic[R]):
    """The pages of one Atom feed; each record once, even if the server repeats it.

    Args:
        address: the address of the server.
        path: the path of the feed.
        parameters: the query of every page, percent-encoded.
        build: converts an entry to a value that identifies its record, and the record.
        page_size: entries per request.
        people: the people that the requests name.
        fields: the fields of entries that `build` needs; None for all.
    """

    def __init__(
        self,
        address: Address,
        path: str,
        parameters: str,
        build: Callable[[atom.Entry], tuple[Hashable, R]],
        page_size: int = _LARGEST_PAGE,
        people: tuple[Identity, ...] = (),
        fields: tuple[str, ...] | None = None,
    ) -> None:
        self.people = people
        self._address = address
        self._path = path
        self._parameters = f"{parameters}&" if parameters else ""
        self._build = build
        self._page_size = page_size
        self._page = 1
        self._size = 0  # entries on a full page: the server may give fewer than requested
        self._link: str | None = None  # link to the next page
        self._links: set[str] = set()  # links followed in this sweep
        self._total: int | None = None
        self._moved = False  # whether entries moved during this sweep
        self._gained = 0  # new records in this sweep
        self._sweep = 1
        self._done = False
        self._known: set[Hashable] = set()
        self._fresh: set[Hashable] = set()
        self._entries = 0
        self._request: Request | None = None
        self._fields = fields
        self._templates = atom.Templates()
        self._reader = self._new_reader()

    def next_request(self) -> Request | None:
        """See `Pager`."""
        self._fresh = set()
        self._entries = 0
        if self._done:
            return None
        target = self._link or f"{self._path}?{self._parameters}page={self._page}&ps={self._page_size}"
        self._request = Request("GET", target, NO_CACHE)
        return self._request

    def begin(self, response: Response) -> None:
        """See `Pager`. Recorded for an unknown person: 400 from version 5.0 on, before that an empty feed."""
        assert self._request is not None  # noqa: S101 # `next_request` comes first
        self._reader = self._new_reader(response.charset)
        expect(self._request, response, 200)

    def _new_reader(self, charset: str | None = None) -> atom.Reader:
        path = (self._link or self._path).partition("?")[0]
        base = f"{self._address.origin}{path}"
        return atom.Reader(charset=charset, base=base, strict=False, fields=self._fields, templates=self._templates)

    def feed(self, chunk: bytes) -> list[R]:
        """See `Pager`."""
        return self._built(self._reader.feed(chunk))

    def end(self) -> list[R]:
        """See `Pager`."""
        feed = self._reader.close()
        records = self._built(list(feed.entries))
        self._turn(feed)
        return records

    def _built(self, entries: list[atom.Entry]) -> list[R]:
        self._entries += len(entries)
        records: list[R] = []
        for entry in entries:
            key, record = self._build(entry)
            if key not in self._known and key not in self._fresh:
                self._fresh.add(key)
                records.append(record)
        return records

    def _turn(self, feed: atom.Feed) -> None:
        """Decide what follows the page that has ended."""
        self._known |= self._fresh
        self._gained += len(self._fresh)
        self._size = self._size or self._entries
        before, self._total = self._total, feed.total_results
        self._moved |= None not in (before, self._total) and (self._total or 0) < (before or 0)
        if self._entries and (self._follow(feed) or self._is_open()):
            self._page += 1
        else:
            self._finish()

    def _follow(self, feed: atom.Feed) -> bool:
        """Whether the page links to a next page that was not read yet: links may form a cycle."""
        self._link, following = None, feed.link("next")
        if following is None or not following.href:
            return False
        number = query_value(following.href, "page")
        if number is not None and number.isdecimal() and int(number[:18]) <= self._page:
            return False
        link = self._address.follow(following.href)
        if link is None or not keeps_parameters(f"?{self._parameters}", link, may_lack=True):
            return bool(self._fresh)  # the next page is requested by its number
        if link in self._links:
            return False
        self._links.add(link)
        self._link = link
        return True

    def _is_open(self) -> bool:
        """Whether more entries follow, by the total or, without one, by the page itself."""
        if self._total is None:
            return bool(self._fresh)
        return (self._page - 1) * self._size + self._entries < self._total

    def _finish(self) -> None:
        """End the sweep: end the listing, or begin another sweep if entries moved."""
        missing = self._total is not None and len(self._known) < self._total
        self._done = not self._gained or self._sweep == _MOST_SWEEPS or not (self._moved or missing)
        self._sweep += 1
        self._page, self._gained, self._moved, self._link, self._links = 1, 0, False, None, set()


class WholePager(FeedPager[R]):
    """The pages of one Atom feed that must be read as a whole.

    In each sweep all records are given again, so that those of earlier sweeps can be dropped: they may be gone. A sweep
    is complete if it has as many different records as the total says, and the total did not shrink meanwhile. After
    five sweeps, or two with the same records, the listing ends without a complete one.

    Attributes:
        sweep: number of the current sweep, or of the last one, from 1.
        found: number of different records of the last sweep.
        total: the total that the server gave last; None if it gave none.
        page_size: number of entries on the first page, which may be fewer than were requested.
        is_complete: whether the last sweep was complete.
        refuses_unknown: whether servers of this version refuse an unknown person, instead of giving an empty feed.
    """

    sweep: int = 1
    found: int = 0
    total: int | None = None
    page_size: int = 0
    is_complete: bool = False
    refuses_unknown: bool = False
    _before: frozenset[Hashable] | None = None

    def _turn(self, feed: atom.Feed) -> None:
        self.refuses_unknown = _is_of_version(_FIRST_TO_REFUSE, feed.generator)
        self.total = feed.total_results
        self.page_size = self.page_size or self._entries
        super()._turn(feed)

    def _finish(self) -> None:
        """End the sweep: end the listing if the sweep was complete, or if another one would not help."""
        self.found, self.total = len(self._known), self._total
        self.is_complete = self.found == self.total and not self._moved
        found = frozenset(self._known)
        is_final = self.is_complete or self.total is None or found == self._before or self.sweep == _MOST_SWEEPS
        super()._finish()
        self._done = is_final
        if not is_final:
            self.sweep += 1
            self._before, self._known, self._total = found, set(), None


def _is_of_version(first: int, generator: atom.Generator | None) -> bool:
    """Whether the server names its version, and it is `first` or later."""
    number = ((generator and generator.version) or "").strip().partition(".")[0]
    return number.isdecimal() and int(number) >= first


def colleagues(
    address: Address,
    person: Identity,
    *,
    status: Status | None = None,
    since: str | None = None,
    sort_by: str | None = None,
    message: bool = False,
    page_size: int = _LARGEST_PAGE,
) -> FeedPager[Connection]:
    """A person's connections; a `status` other than `ACCEPTED` needs the signed-in user (page "Getting colleagues")."""
    more = ""
    if since is not None:
        more += f"&since={encode(since)}"
    if sort_by is not None:
        more += f"&sortBy={sort_by}"
    if message:
        more += "&inclMessage=true"
    return FeedPager(*_feed_of(address, person, status, more), _connection_builder(person), page_size, (person,))


def whole_colleagues(address: Address, person: Identity, *, status: Status | None = None) -> WholePager[Connection]:
    """The same connections as `colleagues`, to be read as a whole."""
    return WholePager(*_feed_of(address, person, status), _connection_builder(person), people=(person,))


def verified_person(address: Address, person: Identity) -> Flow[None]:
    """Verify that the directory knows a person whose list is empty (recorded: 4.5 gives an empty list otherwise too).

    Raises:
        NotFoundError: it does not.
        ResponseError: the server refuses.
        AtomError: the response cannot be read.
    """
    if (yield from profile(address, person)) is None:
        raise NotFoundError(404, None, "the directory does not know this person")


def lean_colleagues(
    address: Address, person: Identity, *, status: Status | None = None, page_size: int = _LARGEST_PAGE
) -> FeedPager[Colleague]:
    """The same connections as `colleagues`, each as its target and status only.

    For plans that replace checks by listings: they need no more, and the other fields of an entry are not read.
    """
    return FeedPager(*_feed_of(address, person, status), _colleague_builder(), page_size, (person,), _LEAN_FIELDS)


def whole_lean_colleagues(address: Address, person: Identity, *, status: Status | None = None) -> WholePager[Colleague]:
    """The same colleagues as `lean_colleagues`, to be read as a whole."""
    feed = _feed_of(address, person, status)
    return WholePager(*feed, _colleague_builder(), people=(person,), fields=_LEAN_FIELDS)


def _colleague_builder() -> Callable[[atom.Entry], tuple[Hashable, Colleague]]:
    person_from = person_from_cached()

    def build(entry: atom.Entry) -> tuple[Hashable, Colleague]:
        source, target = ends_of(entry)
        colleague = Colleague(person_from(target), status_of(entry), person_from(source))
        return bare_id(entry) or (colleague.source, colleague.person), colleague

    return build


def _connection_builder(owner: Identity) -> Callable[[atom.Entry], tuple[Hashable, Connection]]:
    person_from, verified = person_from_cached(), Person()

    def build(entry: atom.Entry) -> tuple[Hashable, Connection]:
        nonlocal verified
        connection = connection_from(entry, person_from)
        if connection.source is not verified:
            if not may_be([owner], [connection.source.userid]):
                raise UnexpectedResponseError(200, None, "an entry belongs to the list of another person")
            verified = connection.source
        return connection.id or (connection.source, connection.target), connection

    return build


def _feed_of(address: Address, person: Identity, status: Status | None, more: str = "") -> tuple[Address, str, str]:
    """The first arguments of a pager of a person's connections; `more` ends the query."""
    parameters = f"connectionType=colleague&{person.kind}={encode(person.value)}&outputType=connection"
    parameters += f"&status={status or Status.ACCEPTED}{more}"
    return address, f"{address.profiles}/connections.do", parameters


def in_common(address: Address, one: Identity, other: Identity) -> FeedPager[Profile]:
    """The colleagues that two people share (page "Finding colleagues shared by two people").

    Raises:
        InvalidInputError: the people are identified in different ways, or an identity contains a comma, which separates
            the two.
    """
    if type(one) is not type(other) or "," in one.value + other.value:
        raise InvalidInputError("both people must be given by the same kind of identity, and without a comma in it")
    both = f"{encode(one.value)},{encode(other.value)}"
    parameters = f"connectionType=colleague&{one.kind}={both}&outputType=profile&format=lite&output=hcard"
    path = f"{address.profiles}/connectionsInCommon.do"
    return FeedPager(address, path, parameters, _profile, people=(one, other))


def search(address: Address, terms: Mapping[str, str], *, page_size: int = _LARGEST_PAGE) -> FeedPager[Profile]:
    """People by the content of their profiles (page "Searching profiles").

    Raises:
        InvalidInputError: `terms` is empty.
    """
    if not terms:
        raise InvalidInputError("a search needs at least one term")
    parameters = "&".join(f"{name}={encode(value)}" for name, value in terms.items())
    parameters += "&format=full&output=hcard"
    return FeedPager(address, f"{address.profiles}/search.do", parameters, _profile, page_size)


def invitations(address: Address, community: str | None = None) -> FeedPager[Invitation]:
    """Invitations of the signed-in user, or into a community (page "Getting the My Invitations feed")."""
    path = f"{address.communities}/community/invites"
    if community is None:
        return FeedPager(address, f"{path}/my", "", _invitation, _INVITATIONS)
    parameters = f"communityUuid={encode(community)}"
    return FeedPager(address, path, parameters, _invitation, _INVITATIONS)


def _profile(entry: atom.Entry) -> tuple[Hashable, Profile]:
    profile = profile_from(entry)
    return profile.person.key or profile.person.userid or profile.person, profile


def _invitation(entry: atom.Entry) -> tuple[Hashable, Invitation]:
    invitation = invitation_from(entry)
    return invitation.id or invitation.edit_href or invitation, invitation
