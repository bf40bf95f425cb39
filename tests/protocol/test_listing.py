"""Pages that lie, shrink, repeat and lead in circles: every record comes, and comes once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from talk import ATOM, HTML, answer, error

from aioconnections.errors import (
    AtomError,
    AuthenticationError,
    BadRequestError,
    InvalidInputError,
    NotFoundError,
    UnexpectedResponseError,
)
from aioconnections.protocol.address import Address
from aioconnections.protocol.listing import FeedPager, colleagues, in_common, invitations, search, whole_colleagues
from aioconnections.protocol.messages import Request, Response
from aioconnections.records import Connection, Email, Key, Status, Userid

ADDRESS = Address.of("https://c.example.com")
SN = "http://www.ibm.com/xmlns/prod/sn"
OPENSEARCH = "http://a9.com/-/spec/opensearch/1.1/"
HISTORY = "http://purl.org/syndication/history/1.0"
UNKNOWN = error(400, "CLFRN1172E: The request is invalid.", "400")


def feed(numbers: list[int], *, total: int | None = None, following: str = "", start: int = 1) -> Response:
    entries = "".join(
        f'<entry><id>tag:profiles.ibm.com,2006:entry{n}</id><category term="connection" scheme="{SN}/type"/></entry>'
        for n in numbers
    )
    said = "" if total is None else f"<o:totalResults>{total}</o:totalResults><o:startIndex>{start}</o:startIndex>"
    link = f'<link rel="next" href="{following}"/>' if following else ""
    root = f'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="{OPENSEARCH}" xmlns:fh="{HISTORY}"><fh:complete/>'
    return answer(200, f"{root}{said}{link}{entries}</feed>", ATOM)


def pager(page_size: int = 10) -> FeedPager[Connection]:
    return colleagues(ADDRESS, Userid("me"), page_size=page_size)


def read(listing: FeedPager[Any], *pages: Response, chunk: int = 97) -> tuple[list[str], list[Request]]:
    """The ids of all records and the requests, where the server gives exactly these pages."""
    waiting, asked, found = iter(pages), list[Request](), list[str]()
    while (request := listing.next_request()) is not None:
        asked.append(request)
        page = next(waiting)
        listing.begin(page)
        records = []
        for at in range(0, len(page.body), chunk):
            records += listing.feed(page.body[at : at + chunk])
        found += [record.id for record in records + listing.end()]
    assert next(waiting, None) is None, "it ended before all pages were asked for"
    return found, asked


def numbers_asked(asked: list[Request]) -> list[int]:
    return [int(parse_qs(urlsplit(request.target).query)["page"][0]) for request in asked]


def ids(*numbers: int) -> list[str]:
    return [str(number) for number in numbers]


def test_what_is_asked() -> None:
    found, asked = read(
        colleagues(
            ADDRESS,
            Email("a@example.com"),
            status=Status.PENDING,
            since="2020-01-01T00:00:00.000Z",
            sort_by="modified",
            message=True,
            page_size=7,
        ),
        feed([], total=0),
    )
    assert found == []
    assert asked[0].target == (
        "/profiles/atom/connections.do?connectionType=colleague&email=a%40example.com&outputType=connection"
        "&status=pending&since=2020-01-01T00%3A00%3A00.000Z&sortBy=modified&inclMessage=true&page=1&ps=7"
    )
    assert asked[0].headers.get("cache-control") == "no-cache"


@pytest.mark.parametrize("start", [0, 1])
def test_pages_are_counted_until_the_total_is_reached(start: int) -> None:
    found, asked = read(pager(2), feed([1, 2], total=5, start=start), feed([3, 4], total=5), feed([5], total=5))
    assert (found, numbers_asked(asked)) == (ids(1, 2, 3, 4, 5), [1, 2, 3])


def test_complete_means_nothing_and_a_page_that_was_cut_is_no_end() -> None:
    found, asked = read(pager(250), feed([1, 2], total=3), feed([3], total=3))
    assert (found, numbers_asked(asked)) == (ids(1, 2, 3), [1, 2])


def test_without_a_total_the_end_is_a_page_without_news() -> None:
    assert read(pager(), feed([1, 2]), feed([3]), feed([]))[0] == ids(1, 2, 3)
    assert read(pager(), feed([1, 2]), feed([1, 2]))[0] == ids(1, 2)


def test_links_are_followed_where_there_are_any() -> None:
    link = "https://visible.example.com/profiles/atom/connections.do?cursor=x&amp;page=2"
    found, asked = read(pager(), feed([1], following=link), feed([2]), feed([]))
    assert found == ids(1, 2)
    assert asked[1].target == "/profiles/atom/connections.do?cursor=x&page=2"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example.com/other?page=2", "mailto:a@example.com", "/other/connections.do?cursor=x"]
)
def test_a_next_link_that_leads_elsewhere_is_replaced_by_the_number_of_the_page(elsewhere: str) -> None:
    found, asked = read(pager(), feed([1], total=1, following=elsewhere), feed([2], total=1))
    assert (found, numbers_asked(asked)) == (ids(1, 2), [1, 2])
    assert asked[1].target == asked[0].target.replace("page=1", "page=2")
    found, asked = read(pager(), feed([1], following=elsewhere), feed([1], following=elsewhere))
    assert (found, numbers_asked(asked)) == (ids(1), [1, 2])


@pytest.mark.parametrize(
    "query",
    [
        "connectionType=colleague&amp;email=zo%25C3%25A9%252Bx%2540example.com&amp;page=2",
        "connectionType=colleague&amp;email=zo%C3%A9+x%40example.com&amp;page=2",
        "page=2&amp;email=bob%40example.com",
        "page=2&amp;email=zo%C3%A9%2Bx%40example.com&amp;status=pending",
    ],
)
def test_a_next_link_about_other_people_is_replaced_by_the_number_of_the_page(query: str) -> None:
    listing = colleagues(ADDRESS, Email("zo\u00e9+x@example.com"), page_size=1)
    link = f"/profiles/atom/connections.do?{query}"
    found, asked = read(listing, feed([1], total=2, following=link), feed([2], total=2))
    assert (found, numbers_asked(asked)) == (ids(1, 2), [1, 2])
    assert asked[1].target == asked[0].target.replace("page=1", "page=2")


def test_a_next_link_may_spell_its_parameters_otherwise() -> None:
    link = "/profiles/atom/connections.do?ps=1&amp;page=2&amp;lastMod=7&amp;email=zo%c3%a9%2bx@example.com"
    listing = colleagues(ADDRESS, Email("zo\u00e9+x@example.com"), page_size=1)
    found, asked = read(listing, feed([1], total=2, following=link), feed([2], total=2))
    assert (found, asked[1].target) == (ids(1, 2), link.replace("&amp;", "&"))


@pytest.mark.parametrize(("owner", "is_theirs"), [("other", False), ("ME", True), ("", True)])
@pytest.mark.parametrize("make", [colleagues, whole_colleagues])
def test_entries_of_the_list_of_another_person_are_an_error(
    make: Callable[[Address, Userid], FeedPager[Connection]], owner: str, *, is_theirs: bool
) -> None:
    source = f'<contributor s:rel="{SN}/connection/source"><s:userid>{owner}</s:userid></contributor>'
    entry = f"<entry><id>tag:profiles.ibm.com,2006:entry1</id><s:connection>{source}</s:connection></entry>"
    body = f'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:s="{SN}">{entry}</feed>'
    listing = make(ADDRESS, Userid("me"))
    assert listing.next_request() is not None
    listing.begin(answer(200, body, ATOM))
    if is_theirs:
        assert len(listing.feed(body.encode()) + listing.end()) == 1
        return
    with pytest.raises(UnexpectedResponseError, match="an entry belongs to the list of another person"):
        _ = listing.feed(body.encode()) + listing.end()


def test_the_number_in_a_link_may_have_any_length() -> None:
    link = f"/profiles/atom/connections.do?page={'9' * 5000}"
    assert len(read(pager(), feed([1], following=link), feed([]))[1]) == 2


@pytest.mark.parametrize("link", ["/profiles/atom/connections.do?page=1", "/profiles/atom/connections.do?page=0"])
def test_a_link_back_is_not_followed(link: str) -> None:
    found, asked = read(pager(1), feed([1], total=2, following=link), feed([2], total=2, following=link))
    assert (found, numbers_asked(asked)) == (ids(1, 2), [1, 2])


def test_a_circle_of_links_ends() -> None:
    one, two = "/profiles/atom/connections.do?cursor=1", "/profiles/atom/connections.do?cursor=2"
    found, asked = read(pager(), feed([1], following=two), feed([2], following=one), feed([1], following=two))
    assert found == ids(1, 2)
    assert len(asked) == 3


def test_duplicates_between_pages_come_once() -> None:
    assert read(pager(2), feed([1, 2], total=4), feed([2, 3], total=4), feed([1, 2], total=4), feed([3, 4], total=4))[
        0
    ] == ids(1, 2, 3, 4)


def test_a_total_that_shrinks_means_that_something_was_passed_by() -> None:
    found, asked = read(
        pager(2),
        feed([1, 2], total=5),
        feed([4, 5], total=4),  # 1 has gone, so 3 has moved to the first page
        feed([2, 3], total=4),
        feed([4, 5], total=4),
    )
    assert found == ids(1, 2, 4, 5, 3)
    assert numbers_asked(asked) == [1, 2, 1, 2]


def test_a_total_that_grows_is_read_to_its_end() -> None:
    assert read(pager(2), feed([1, 2], total=2))[0] == ids(1, 2)
    assert read(pager(2), feed([1, 2], total=3), feed([3, 4], total=5), feed([5], total=5))[0] == ids(1, 2, 3, 4, 5)


def test_a_total_that_is_never_reached_costs_one_more_reading() -> None:
    found, asked = read(
        pager(2),
        feed([1, 2], total=9),
        feed([3], total=9),
        feed([], total=9),
        feed([1, 2], total=9),
        feed([3], total=9),
        feed([], total=9),
    )
    assert (found, len(asked)) == (ids(1, 2, 3), 6)


def test_a_list_that_never_rests_is_left_in_the_end() -> None:
    sweeps = [feed([n], total=9) if page == 0 else feed([], total=9) for n in range(5) for page in range(2)]
    assert read(pager(), *sweeps)[0] == ids(0, 1, 2, 3, 4)


def test_a_page_that_broke_off_is_begun_anew() -> None:
    listing, page = pager(), feed([1, 2, 3], total=3)
    listing.next_request()
    listing.begin(page)
    cut = page.body.index(b"</entry>") + 20
    assert [record.id for record in listing.feed(page.body[:cut])] == ids(1)
    assert read(listing, page)[0] == ids(1, 2, 3)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(400), BadRequestError),
        (UNKNOWN, BadRequestError),
        (answer(404), NotFoundError),
        (answer(401), AuthenticationError),
        (answer(200, "<html>Log in</html>", HTML), AuthenticationError),
        (answer(200, "<feed xmlns='http://www.w3.org/2005/Atom'><entry>", ATOM), AtomError),
        (answer(200, "<feed xmlns='http://www.w3.org/2005/Atom'><entry/></feed>", ATOM), AtomError),
    ],
)
def test_an_error_is_no_empty_list(reply: Response, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read(pager(), reply)


def test_a_refusal_is_an_error_for_every_listing() -> None:
    with pytest.raises(NotFoundError):
        read(invitations(ADDRESS, "c1"), error(404, "The community does not exist.", "404"))
    with pytest.raises(BadRequestError):
        read(in_common(ADDRESS, Userid("a"), Userid("b")), UNKNOWN)
    with pytest.raises(BadRequestError):
        read(search(ADDRESS, {"name": "x"}), UNKNOWN)


def test_the_other_listings() -> None:
    empty = feed([], total=0, start=0)
    assert read(in_common(ADDRESS, Email("a@x.example"), Email("b@x.example")), empty)[1][0].target == (
        "/profiles/atom/connectionsInCommon.do?connectionType=colleague&email=a%40x.example,b%40x.example"
        "&outputType=profile&format=lite&output=hcard&page=1&ps=250"
    )
    assert read(search(ADDRESS, {"name": "A%*", "city": "Köln"}), empty)[1][0].target == (
        "/profiles/atom/search.do?name=A%25%2A&city=K%C3%B6ln&format=full&output=hcard&page=1&ps=250"
    )
    mine = "/communities/service/atom/community/invites/my?page=1&ps=50"
    assert read(invitations(ADDRESS), empty)[1][0].target == mine
    theirs = "/communities/service/atom/community/invites?communityUuid=c%201&page=1&ps=50"
    assert read(invitations(ADDRESS, "c 1"), empty)[1][0].target == theirs


def test_what_cannot_be_asked_for() -> None:
    for one, other in ((Email("a@x.example"), Key("k")), (Userid("a,b"), Userid("c"))):
        with pytest.raises(InvalidInputError):
            in_common(ADDRESS, one, other)
    with pytest.raises(InvalidInputError):
        search(ADDRESS, {})


def test_profiles_and_invitations_are_known_by_what_they_have() -> None:
    profiles = "".join(f"<entry><title>{name}</title></entry>" for name in ("Ann", "Bob", "Ann"))
    page = answer(200, f'<feed xmlns="http://www.w3.org/2005/Atom">{profiles}</feed>', ATOM)
    listing = search(ADDRESS, {"name": "x"})
    listing.next_request()
    listing.begin(page)
    names = [profile.person.name for profile in [*listing.feed(page.body), *listing.end()]]
    assert names == ["Ann", "Bob"]
    kind = f'<category term="invite" scheme="{SN}/type"/>'
    invites = "".join(f"<entry><id>{n}</id>{kind}</entry>" for n in (1, 2, 1))
    page = answer(200, f'<feed xmlns="http://www.w3.org/2005/Atom">{invites}</feed>', ATOM)
    assert read(invitations(ADDRESS), page, page)[0] == ids(1, 2)
