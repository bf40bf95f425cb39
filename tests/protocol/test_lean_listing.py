"""The lean listing of colleagues: requests, targets, statuses and errors are those of the full listing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from talk import ATOM, HTML, answer, error

from aioconnections.errors import AtomError, ConnectionsError
from aioconnections.protocol.address import Address
from aioconnections.protocol.listing import Colleague, FeedPager, colleagues, lean_colleagues, whole_lean_colleagues
from aioconnections.protocol.messages import Response
from aioconnections.records import Email, Person, Status, Userid

ADDRESS = Address.of("https://c.example.com")
ME = Userid("me")
OWNER = Email("me@example.com")  # the documents show lists of several people
DOCUMENTS = sorted((Path(__file__).parent.parent / "data").glob("*.atom"))
SN = "http://www.ibm.com/xmlns/prod/sn"
NAMESPACES = f'xmlns="http://www.w3.org/2005/Atom" xmlns:snx="{SN}" xmlns:o="http://a9.com/-/spec/opensearch/1.1/"'
EMPTY = answer(200, f"<feed {NAMESPACES}></feed>", ATOM)
MOST_PAGES = 40


def entry(number: int, *, has_id: bool = True, status: str = "accepted", email: str = "", source: str = "me") -> str:
    own = f"<id>tag:profiles.ibm.com,2006:entry{number}</id>" if has_id else ""
    sides = "".join(
        f'<contributor snx:rel="{SN}/connection/{side}"><name>{who}</name><snx:userid>{who}</snx:userid>{more}'
        f"</contributor>"
        for side, who, more in (("source", source, ""), ("target", f"u{number}", f"<email>{email}</email>"))
    )
    return (
        f'<entry>{own}<category term="connection" scheme="{SN}/type"/>'
        f'<category term="{status}" scheme="{SN}/status"/><snx:connection>{sides}</snx:connection></entry>'
    )


def page(*entries: str, total: int | None = None, following: int | None = None) -> Response:
    said = "" if total is None else f"<o:totalResults>{total}</o:totalResults>"
    if following is not None:
        said += f'<link rel="next" href="/profiles/atom/connections.do?page={following}"/>'
    return answer(200, f"<feed {NAMESPACES}>{said}{''.join(entries)}</feed>", ATOM)


def listed(pager: FeedPager[Any], pages: list[Response]) -> tuple[list[str], list[Any], str]:
    """The targets of the requests, the records and the error of a listing whose server gives these pages in turn."""
    asked, records = list[str](), list[Any]()
    try:
        while (request := pager.next_request()) is not None and len(asked) < MOST_PAGES:
            response = pages[len(asked) % len(pages)]
            asked.append(request.target)
            pager.begin(response)
            for start in range(0, len(response.body), 301):
                records += pager.feed(response.body[start : start + 301])
            records += pager.end()
    except ConnectionsError as failure:
        return asked, records, repr(failure)
    return asked, records, ""


def both(pages: list[Response], status: Status | None = None, page_size: int = 250) -> list[Colleague]:
    """The lean records, after they were compared with the full ones."""
    asked, records, failure = listed(lean_colleagues(ADDRESS, OWNER, status=status, page_size=page_size), pages)
    full = listed(colleagues(ADDRESS, OWNER, status=status, page_size=page_size), pages)
    assert (asked, failure) == (full[0], full[2])
    # by repr, because identities that differ in case are equal
    assert repr(records) == repr([Colleague(it.target, it.status, it.source) for it in full[1]])
    return records


ENTRIES = st.builds(
    entry,
    st.integers(0, 6),
    has_id=st.booleans(),
    status=st.sampled_from(["accepted", "pending", "unconfirmed", " Accepted", "odd", ""]),
    email=st.sampled_from(["", "a@x.org", "A@x.org", "a@@x", " "]),
    source=st.sampled_from(["me", "you"]),
)
TOTALS = st.none() | st.integers(0, 8)
BAD = st.sampled_from(
    [
        answer(400),
        error(400, "CLFRN1172E: The request is invalid.", "400"),
        answer(200, "<html>Log in</html>", HTML),
        answer(200, f"<feed {NAMESPACES}>{entry(1)}<entry>", ATOM),
        page(entry(1), "<entry/>", entry(2)),
        page(entry(1), f'<entry><category term="profile" scheme="{SN}/type"/></entry>'),
    ]
)
PAGES = st.builds(
    lambda entries, total, following: page(*entries, total=total, following=following),
    st.lists(ENTRIES, max_size=5),
    TOTALS,
    st.none() | st.integers(1, 5),
)


@given(st.lists(PAGES, min_size=1, max_size=8), st.sampled_from([None, *Status]))
def test_any_pages(pages: list[Response], status: Status | None) -> None:
    both(pages, status, page_size=3)


@given(st.lists(PAGES, max_size=3), BAD)
def test_any_pages_before_an_error(pages: list[Response], bad: Response) -> None:
    both([*pages, bad])


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.stem for path in DOCUMENTS])
def test_the_documents(path: Path) -> None:
    both([answer(200, path.read_bytes(), ATOM), EMPTY])


def test_what_a_record_says() -> None:
    pages = [
        page(entry(1, email="a@x.org"), entry(2, status="pending"), total=4),
        page(entry(3, status="odd"), entry(4, email="hidden"), total=4),
    ]
    source = Person("me", ME)
    assert both(pages, page_size=2) == [
        Colleague(Person("u1", Userid("u1"), email=Email("a@x.org")), Status.ACCEPTED, source),
        Colleague(Person("u2", Userid("u2")), Status.PENDING, source),
        Colleague(Person("u3", Userid("u3")), None, source),
        Colleague(Person("u4", Userid("u4")), Status.ACCEPTED, source),
    ]


def test_connections_without_an_id_are_known_by_their_people() -> None:
    people = [(1, "me"), (1, "me"), (2, "me"), (1, "you")]
    pages = [page(*[entry(number, has_id=False, source=source) for number, source in people], total=3)]
    assert [str(record.person.identity) for record in both(pages)] == ["u1", "u2", "u1"]


def test_moved_entries_are_found_in_the_next_sweep() -> None:
    pages = [
        page(entry(1), entry(2), total=4),
        page(entry(4), total=3),  # 1 was removed, so 3 moved to the first page
        page(entry(2), entry(3), total=3),
        page(entry(4), total=3),
        page(entry(2), entry(3), total=3),
        page(entry(4), total=3),
    ]
    assert [str(record.person.identity) for record in both(pages, page_size=2)] == ["u1", "u2", "u4", "u3"]


def test_an_unknown_person_has_an_empty_feed() -> None:
    assert both([EMPTY]) == []


def test_an_entry_that_is_no_connection_is_an_error() -> None:
    pager = lean_colleagues(ADDRESS, ME)
    pager.next_request()
    pager.begin(EMPTY)
    with pytest.raises(AtomError, match="does not describe a connection"):
        pager.feed(page("<entry/>", "<entry/>").body)


def test_the_request_names_the_person_and_the_status() -> None:
    pager = lean_colleagues(ADDRESS, Email("a@x.org"), status=Status.UNCONFIRMED, page_size=7)
    request = pager.next_request()
    assert request is not None
    assert request.target == (
        "/profiles/atom/connections.do?connectionType=colleague&email=a%40x.org&outputType=connection"
        "&status=unconfirmed&page=1&ps=7"
    )
    assert pager.people == (Email("a@x.org"),)


def test_a_whole_lean_listing_gives_the_records_of_each_sweep_again() -> None:
    pages = [page(entry(1), entry(2), total=3), page(total=3), page(entry(1), entry(2), entry(3), total=3)]
    pager = whole_lean_colleagues(ADDRESS, ME, status=Status.ACCEPTED)
    _, records, failure = listed(pager, pages)
    assert failure == ""
    assert [it.person.userid for it in records] == [Userid(f"u{it}") for it in (1, 2, 1, 2, 3)]
    assert (pager.sweep, pager.found, pager.is_complete) == (2, 3, True)
