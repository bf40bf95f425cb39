"""Lists of colleagues, in process: the protocol page "List / search a person's colleagues"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from aioconnections.records import Person, Status
from aioconnections.reference import Directory, app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

pytestmark = pytest.mark.asyncio
FEED = "/profiles/atom/connections.do?connectionType=colleague"
COMMON = "/profiles/atom/connectionsInCommon.do?connectionType=colleague"
ATOM, SNX = "{http://www.w3.org/2005/Atom}", "{http://www.ibm.com/xmlns/prod/sn}"
OPENSEARCH, HISTORY = "{http://a9.com/-/spec/opensearch/1.1/}", "{http://purl.org/syndication/history/1.0}"
SN = "http://www.ibm.com/xmlns/prod/sn"


@pytest.fixture(scope="session")
def popular(directory: Directory) -> Person:
    """The person with the most colleagues."""
    return max(directory.people, key=lambda person: len(list(_colleagues(directory, person, Status.ACCEPTED))))


def _colleagues(directory: Directory, person: Person, status: Status) -> Iterator[str]:
    return (str(other.userid) for other, seen in directory.neighbours(person) if seen is status)


def _targets(feed: Element) -> list[str]:
    return [
        end.findtext(f"{SNX}userid", "")
        for entry in feed.iter(f"{ATOM}entry")
        for end in entry.iter(f"{ATOM}contributor")
        if end.get(f"{SNX}rel") == f"{SN}/connection/target"
    ]


def _links(feed: Element) -> dict[str | None, str]:
    return {link.get("rel"): link.get("href", "") for link in feed.findall(f"{ATOM}link")}


@pytest.mark.parametrize("status", [*Status, None])
async def test_each_colleague_is_listed_once(
    directory: Directory, ask: Any, parse: Any, popular: Person, status: Status | None
) -> None:
    server = app(directory)
    url: str | None = f"{FEED}&key={popular.key}&ps=7" + ("" if status is None else f"&status={status}")
    expected = set(_colleagues(directory, popular, status or Status.ACCEPTED))
    found: list[str] = []
    pages = 0
    while url is not None:
        feed = parse((await ask(server, "GET", url, user=popular)).content)
        found += _targets(feed)
        pages += 1
        assert feed.findtext(f"{OPENSEARCH}totalResults") == str(len(expected))
        assert feed.findtext(f"{OPENSEARCH}startIndex") == str(7 * (pages - 1) + 1)
        assert feed.findtext(f"{OPENSEARCH}itemsPerPage") == "7"
        links = _links(feed)
        url = links.get("next")
        # protocol: an incomplete feed contains fh:complete; no recording has links to earlier pages
        assert (feed.find(f"{HISTORY}complete") is not None) is (url is not None) is ("last" in links)
        assert not {"first", "previous"} & set(links)
    assert pages == -(-len(expected) // 7)
    assert len(found) == len(expected)
    assert set(found) == expected


async def test_a_feed_as_recorded(directory: Directory, ask: Any, parse: Any, popular: Person) -> None:
    now = 1_509_620_783.739
    server = app(directory, clock=lambda: now, context="/ctx")
    response = await ask(
        server, "GET", f"/ctx{FEED}&email={quote(str(popular.email), safe='')}&lastMod=1", user="admin"
    )
    assert response.headers["content-type"] == "application/atom+xml;charset=UTF-8"
    assert response.headers["last-modified"] == "Thu, 02 Nov 2017 11:06:23 GMT"
    feed = parse(response.content)
    names = [child.tag.partition("}")[2] for child in feed]
    assert " ".join(names[:12]) == (
        "id generator title author updated complete totalResults startIndex itemsPerPage link link link"
    )
    assert set(names[12:]) == {"entry"}
    assert feed.findtext(f"{ATOM}id") == "tag:profiles.ibm.com,2006:feed"
    assert feed.findtext(f"{ATOM}title") == f"Connections of {popular.name}"
    assert feed.findtext(f"{ATOM}updated") == "2017-11-02T11:06:23.739Z"
    links = _links(feed)
    own = urlsplit(links["self"])
    assert own.path == "/ctx/profiles/atom/connections.do"
    assert parse_qs(own.query) == {"connectionType": ["colleague"], "email": [str(popular.email)], "lastMod": ["1"]}
    assert parse_qs(urlsplit(links["next"]).query)["page"] == ["2"]
    pages = int(parse_qs(urlsplit(links["last"]).query)["page"][0])
    assert pages == -(-int(feed.findtext(f"{OPENSEARCH}totalResults")) // 10)
    head = await ask(server, "HEAD", f"/ctx{FEED}&key={popular.key}", user="admin")
    assert (head.status_code, head.content) == (200, b"")
    assert b"\n" not in response.content


@pytest.mark.parametrize(
    ("options", "asked", "size"), [({}, "&ps=1000", 250), ({"max_ps": 20}, "&ps=250", 20), ({"page_default": 3}, "", 3)]
)
async def test_page_size_is_silently_limited(
    directory: Directory, ask: Any, parse: Any, popular: Person, options: dict[str, Any], asked: str, size: int
) -> None:
    response = await ask(app(directory, **options), "GET", f"{FEED}&key={popular.key}{asked}", user=popular)
    assert parse(response.content).findtext(f"{OPENSEARCH}itemsPerPage") == str(size)


async def test_lists_may_leave_out_people_whom_a_check_shows(
    directory: Directory, ask: Any, parse: Any, popular: Person
) -> None:
    whole = set(_colleagues(directory, popular, Status.ACCEPTED))
    states = {str(person.userid): person.state for person in directory.people}

    async def listed(**options: Any) -> set[str]:
        server = app(directory, max_ps=1000, **options)
        response = await ask(server, "GET", f"{FEED}&key={popular.key}&ps=1000", user=popular)
        targets = _targets(parse(response.content))
        assert parse(response.content).findtext(f"{OPENSEARCH}totalResults") == str(len(targets))
        return set(targets)

    assert await listed() == whole
    assert await listed(lists_omit=1) == set()
    some = await listed(lists_omit=0.3, fault_seed=1)
    assert len(whole) * 0.4 < len(some) < len(whole)
    assert some != await listed(lists_omit=0.3, fault_seed=2)
    active = {it for it in whole if states[it] == "active"}
    assert await listed(lists_omit_inactive=True) == active < whole
    server = app(directory, lists_omit=1)
    other = next(iter(whole))
    check = f"/profiles/atom/connection.do?connectionType=colleague&sourceKey={popular.key}&targetUserid={quote(other)}"
    assert (await ask(server, "HEAD", check, user=popular)).status_code == 200


async def test_lists_may_leave_out_invitations_that_a_person_has_received(
    directory: Directory, ask: Any, parse: Any, popular: Person
) -> None:
    server = app(directory, max_ps=1000, lists_omit_pending=True)
    for status in Status:
        response = await ask(server, "GET", f"{FEED}&key={popular.key}&ps=1000&status={status}", user=popular)
        shown = [] if status is Status.PENDING else _colleagues(directory, popular, status)
        assert set(_targets(parse(response.content))) == set(shown)
        assert bool(shown) is (status is not Status.PENDING)


async def test_page_beyond_the_last_one_is_empty(directory: Directory, ask: Any, parse: Any, popular: Person) -> None:
    beyond = parse((await ask(app(directory), "GET", f"{FEED}&key={popular.key}&page=9999", user=popular)).content)
    assert beyond.find(f"{ATOM}entry") is None


async def test_other_people_see_accepted_connections_only(
    directory: Directory, ask: Any, parse: Any, pair: Any
) -> None:
    bob, alice = pair(Status.PENDING)
    server = app(directory)
    url = f"{FEED}&key={bob.key}&status=pending&ps=250"
    outsider = next(p for p in directory.people if p not in (alice, bob) and directory.status(p, bob) is None)
    for user, expected in (
        (outsider, set()),
        (alice, {str(alice.userid)}),
        (bob, set(_colleagues(directory, bob, Status.PENDING))),
        ("admin", set(_colleagues(directory, bob, Status.PENDING))),
    ):
        assert set(_targets(parse((await ask(server, "GET", url, user=user)).content))) == expected
    accepted = await ask(server, "GET", f"{FEED}&key={bob.key}&ps=250", user=outsider)
    assert set(_targets(parse(accepted.content))) == set(_colleagues(directory, bob, Status.ACCEPTED))


@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
async def test_an_unknown_person_by_version(directory: Directory, ask: Any, parse: Any, version: Any) -> None:
    response = await ask(app(directory, version=version), "GET", f"{FEED}&email=nobody%40example.com", user="admin")
    if version == "4.5":
        feed = parse(response.content)
        assert feed.findtext(f"{ATOM}title") == "Connections of nobody@example.com"
        assert feed.findtext(f"{OPENSEARCH}totalResults") == "0"
        assert feed.findtext(f"{OPENSEARCH}startIndex") == "1"
    else:
        assert response.status_code == 400
        assert b"CLFRN1172E" in response.content


@pytest.mark.parametrize(
    "wrong",
    ["", "&key={k}&email=x", "&key={k}&status=declined", "&key={k}&ps=0", "&key={k}&ps=x", "&key={k}&page=-1",
     "&key={k}&since=yesterday", "&key={k}&sortBy=rank", "&key={k}&sortOrder=up", "&key={k}&outputType=html",
     "&key={k}&outputType=profile&output=pdf", "&key={k}&format=huge"],
)  # fmt: skip
async def test_invalid_parameters_are_refused(directory: Directory, ask: Any, popular: Person, wrong: str) -> None:
    url = FEED + wrong.format(k=popular.key)
    assert (await ask(app(directory), "GET", url, user="admin")).status_code == 400
    untyped = f"/profiles/atom/connections.do?key={popular.key}"
    assert (await ask(app(directory), "GET", untyped, user="admin")).status_code == 400


async def test_order(directory: Directory, ask: Any, parse: Any, popular: Person) -> None:
    server = app(directory)
    for order, path in (("displayName", f"{ATOM}title"), ("modified", f"{ATOM}updated")):
        for direction in ("", "asc", "desc"):
            url = f"{FEED}&key={popular.key}&ps=250&sortBy={order}&sortOrder={direction}"
            feed = parse((await ask(server, "GET", url, user=popular)).content)
            values = [entry.findtext(path).casefold() for entry in feed.iter(f"{ATOM}entry")]
            assert values == sorted(values, reverse=direction == "desc")


async def test_since_excludes_older_entries(
    directory: Directory, ask: Any, parse: Any, popular: Person, invitation: Any
) -> None:
    now = datetime(2024, 2, 1, tzinfo=UTC)
    server = app(directory, clock=now.timestamp)
    stranger = next(p for p in directory.people if p != popular and directory.status(popular, p) is None)
    await ask(server, "POST", f"{FEED}&key={stranger.key}", user=popular, content=invitation())
    before = now - timedelta(days=1)
    for since in (
        before.isoformat().replace("+00:00", ".000Z"),
        quote(before.isoformat()),
        str(int(before.timestamp() * 1000)),
        "2024-01-31",
    ):
        url = f"{FEED}&key={popular.key}&status=unconfirmed&since={since}"
        found = _targets(parse((await ask(server, "GET", url, user=popular)).content))
        assert found == [str(stranger.userid)]
    url = f"{FEED}&key={popular.key}&status=unconfirmed&since=2024-02-01T00:00:00.000Z"
    assert _targets(parse((await ask(server, "GET", url, user=popular)).content)) == []


async def test_only_the_source_reads_messages(directory: Directory, ask: Any, parse: Any, popular: Person) -> None:
    server = app(directory)
    url = f"{FEED}&key={popular.key}&ps=250"
    for user, more, told in (
        (popular, "&inclMessage=true", True),
        (popular, "", False),
        ("admin", "&inclMessage=true", False),
    ):
        feed = parse((await ask(server, "GET", url + more, user=user)).content)
        assert any(entry.findtext(f"{ATOM}content") for entry in feed.iter(f"{ATOM}entry")) is told


async def test_colleagues_as_profiles(directory: Directory, ask: Any, parse: Any, popular: Person) -> None:
    url = f"{FEED}&key={popular.key}&ps=250&outputType=profile&output=vcard&format=full&inclUserStatus=true"
    feed = parse((await ask(app(directory), "GET", url, user="admin")).content)
    found = [entry.findtext(f"{ATOM}contributor/{SNX}userid") for entry in feed.iter(f"{ATOM}entry")]
    assert len(found) == len(set(found)) == 250
    assert set(found) < set(_colleagues(directory, popular, Status.ACCEPTED))
    assert all("BEGIN:VCARD" in entry.findtext(f"{ATOM}content") for entry in feed.iter(f"{ATOM}entry"))


async def test_colleagues_in_common(directory: Directory, ask: Any, parse: Any, popular: Person) -> None:
    server = app(directory)
    for other in directory.people[:12]:
        if other == popular:
            continue
        expected = set(_colleagues(directory, popular, Status.ACCEPTED)) & set(
            _colleagues(directory, other, Status.ACCEPTED)
        )
        for kind in ("key", "userid", "email"):
            both = quote(f"{getattr(popular, kind)},{getattr(other, kind)}", safe="")
            response = await ask(server, "GET", f"{COMMON}&{kind}={both}&ps=250", user="admin")
            assert response.headers["X_Profiles_Connections_In_Common_Count"] == str(len(expected))
            assert set(_targets(parse(response.content))) == expected
    for wrong in (f"&key={popular.key}", "&key=a,b", "", f"&key={popular.key},{popular.key},{popular.key}"):
        assert (await ask(server, "GET", COMMON + wrong, user="admin")).status_code == 400
