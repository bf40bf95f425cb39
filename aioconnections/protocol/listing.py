"""Listings that come in pages: which page to ask for, what is on it, and when there is no more.

What a page says of itself is not to be relied on (all of it recorded): ``fh:complete`` stands in feeds that are not
complete, pages may be smaller than asked for, and some feeds have no total. So a page is the last one if it neither
names a next one nor leaves any of its total open. When the total shrinks between two pages, entries have moved forward
past the reader; when there are fewer records than the total at the end, something moved as well. Then all pages are
read once more, for what was missed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, Protocol, TypeVar

from aioconnections.atom import Entry, Feed, Reader
from aioconnections.errors import InvalidInputError
from aioconnections.protocol.address import Address
from aioconnections.protocol.answers import expect
from aioconnections.protocol.entries import connection_from, invitation_from, query_value
from aioconnections.protocol.messages import Headers, Request, Response, encode
from aioconnections.protocol.people import profile_from
from aioconnections.records import Connection, Identity, Invitation, Profile, Status

__all__ = ["FeedPager", "Pager", "colleagues", "in_common", "invitations", "search"]

R = TypeVar("R")

_LARGEST_PAGE = 250  # inferred: clients say so, and the vendor's search sample stops there
_INVITATIONS = 50  # the largest page of Communities is not known
_MOST_SWEEPS = 5
_NO_CACHE = Headers([("Cache-Control", "no-cache")])


class Pager(Protocol[R]):
    """A listing. Asked for the next request again before `end`, it starts the page over.

    Attributes:
        people: whom the requests name.
    """

    people: tuple[Identity, ...]

    def next_request(self) -> Request | None:
        """The request for the page that comes next, or None if there is none."""
        ...

    def begin(self, response: Response) -> None:
        """The head of the answer has arrived (for an error: all of it).

        Raises:
            ResponseError: it is not the page.
        """
        ...

    def feed(self, chunk: bytes) -> list[R]:
        """Some bytes of the page have arrived; the records that they complete.

        Raises:
            AtomError: the page is not acceptable Atom.
        """
        ...

    def end(self) -> list[R]:
        """The page has arrived; the records that its end completes.

        Raises:
            AtomError: the page broke off.
        """
        ...


class FeedPager(Generic[R]):
    """The pages of one Atom feed; every record once, however often the server gives it.

    Args:
        address: of the server.
        path: of the feed.
        parameters: of every page, percent-encoded.
        build: makes a record of an entry.
        key: what tells whether two records are the same.
        page_size: how many entries to ask for at once.
        people: whom the requests name.
    """

    def __init__(
        self,
        address: Address,
        path: str,
        parameters: str,
        build: Callable[[Entry], R],
        key: Callable[[R], Hashable],
        page_size: int = _LARGEST_PAGE,
        people: tuple[Identity, ...] = (),
    ) -> None:
        self.people = people
        self._address = address
        self._path = path
        self._parameters = f"{parameters}&" if parameters else ""
        self._build = build
        self._key = key
        self._page_size = page_size
        self._page = 1
        self._size = 0  # entries on a full page: the server may give fewer than asked for
        self._link: str | None = None  # the next page, as the last one named it
        self._links: set[str] = set()  # those that were followed in this sweep
        self._total: int | None = None
        self._restless = False  # entries have moved during this sweep
        self._gained = 0  # records that this sweep brought
        self._sweep = 1
        self._done = False
        self._known: set[Hashable] = set()
        self._fresh: set[Hashable] = set()
        self._entries = 0
        self._request: Request | None = None
        self._reader = Reader()

    def next_request(self) -> Request | None:
        """See `Pager`."""
        self._fresh = set()
        self._entries = 0
        if self._done:
            return None
        target = self._link or f"{self._path}?{self._parameters}page={self._page}&ps={self._page_size}"
        self._request = Request("GET", target, _NO_CACHE)
        return self._request

    def begin(self, response: Response) -> None:
        """See `Pager`. An unknown person is refused with 400 from 5.0 on; before that the feed is empty (recorded)."""
        assert self._request is not None  # noqa: S101 # a page is asked for before it comes
        self._reader = Reader(charset=response.charset, base=f"{self._address.origin}{self._path}", strict=False)
        expect(self._request, response, 200)

    def feed(self, chunk: bytes) -> list[R]:
        """See `Pager`."""
        return self._built(self._reader.feed(chunk))

    def end(self) -> list[R]:
        """See `Pager`."""
        feed = self._reader.close()
        records = self._built(list(feed.entries))
        self._turn(feed)
        return records

    def _built(self, entries: list[Entry]) -> list[R]:
        self._entries += len(entries)
        records: list[R] = []
        for entry in entries:
            record = self._build(entry)
            key = self._key(record)
            if key not in self._known and key not in self._fresh:
                self._fresh.add(key)
                records.append(record)
        return records

    def _turn(self, feed: Feed) -> None:
        """Decide what follows the page that has just ended."""
        self._known |= self._fresh
        self._gained += len(self._fresh)
        self._size = self._size or self._entries
        before, self._total = self._total, feed.total_results
        self._restless |= None not in (before, self._total) and (self._total or 0) < (before or 0)
        if self._entries and (self._follow(feed) or self._is_open()):
            self._page += 1
        else:
            self._finish()

    def _follow(self, feed: Feed) -> bool:
        """Whether the page names a next one that was not there before: links may lead in circles."""
        self._link, following = None, feed.link("next")
        if following is None or not following.href:
            return False
        link, number = self._address.follow(following.href), query_value(following.href, "page")
        if link in self._links or (number is not None and number.isdecimal() and int(number) <= self._page):
            return False
        self._links.add(link)
        self._link = link
        return True

    def _is_open(self) -> bool:
        """Whether the total, or where there is none the page itself, says that there is more."""
        if self._total is None:
            return bool(self._fresh)
        return (self._page - 1) * self._size + self._entries < self._total

    def _finish(self) -> None:
        """The sweep is over: end the listing, or read once more what moved."""
        missing = self._total is not None and len(self._known) < self._total
        self._done = not self._gained or self._sweep == _MOST_SWEEPS or not (self._restless or missing)
        self._sweep += 1
        self._page, self._gained, self._restless, self._link, self._links = 1, 0, False, None, set()


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
    """A person's connections. `status` of others than `ACCEPTED` is for one's own (page "Getting colleagues")."""
    parameters = f"connectionType=colleague&{person.kind}={encode(person.value)}&outputType=connection"
    parameters += f"&status={status or Status.ACCEPTED}"
    if since is not None:
        parameters += f"&since={encode(since)}"
    if sort_by is not None:
        parameters += f"&sortBy={sort_by}"
    if message:
        parameters += "&inclMessage=true"
    path = f"{address.profiles}/connections.do"
    return FeedPager(address, path, parameters, connection_from, _of_connection, page_size, (person,))


def in_common(address: Address, one: Identity, other: Identity) -> FeedPager[Profile]:
    """Whom two people both have as colleagues (page "Finding colleagues shared by two people").

    Raises:
        InvalidInputError: the two are named in different ways, or a name holds the comma that joins them.
    """
    if type(one) is not type(other) or "," in one.value + other.value:
        raise InvalidInputError("both people must be named in the same way, and without a comma")
    both = f"{encode(one.value)},{encode(other.value)}"
    parameters = f"connectionType=colleague&{one.kind}={both}&outputType=profile&format=lite&output=hcard"
    path = f"{address.profiles}/connectionsInCommon.do"
    return FeedPager(address, path, parameters, profile_from, _of_profile, people=(one, other))


def search(address: Address, terms: Mapping[str, str], *, page_size: int = _LARGEST_PAGE) -> FeedPager[Profile]:
    """People by what their profiles say (page "Searching profiles").

    Raises:
        InvalidInputError: there is nothing to search for.
    """
    if not terms:
        raise InvalidInputError("a search needs at least one thing to search for")
    parameters = "&".join(f"{name}={encode(value)}" for name, value in terms.items())
    parameters += "&format=full&output=hcard"
    return FeedPager(address, f"{address.profiles}/search.do", parameters, profile_from, _of_profile, page_size)


def invitations(address: Address, community: str | None = None) -> FeedPager[Invitation]:
    """Invitations to the signed-in user, or those into a community (page "Getting the My Invitations feed")."""
    path = f"{address.communities}/community/invites"
    if community is None:
        return FeedPager(address, f"{path}/my", "", invitation_from, _of_invitation, _INVITATIONS)
    parameters = f"communityUuid={encode(community)}"
    return FeedPager(address, path, parameters, invitation_from, _of_invitation, _INVITATIONS)


def _of_connection(connection: Connection) -> Hashable:
    return connection.id or (connection.source, connection.target)


def _of_profile(profile: Profile) -> Hashable:
    return profile.person.key or profile.person.userid or profile.person


def _of_invitation(invitation: Invitation) -> Hashable:
    return invitation.id or invitation.edit_href or invitation
