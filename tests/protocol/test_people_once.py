"""A listing converts each person once: the records are those that `connection_from` makes on its own."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from talk import ATOM, answer

from aioconnections.atom import AtomPerson, Category, ConnectionEnds, Content, Entry, Link, Reader, Text, XmlElement
from aioconnections.errors import AtomError
from aioconnections.protocol.address import Address
from aioconnections.protocol.entries import SN, connection_from, kind_of, person_from, person_from_cached
from aioconnections.protocol.listing import colleagues
from aioconnections.records import Connection, Email, Person, Userid

DATA = Path(__file__).parent.parent / "data"
DOCUMENTS = sorted(DATA.glob("*.atom"))

TEXTS = st.none() | st.sampled_from(
    ["", " ", "a", "A", "a\u200bb", "true", "TRUE", "false", "a@x.org", "A@x.org", "a@@x"]
)
PEOPLE = st.builds(
    AtomPerson,
    TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS,
    extensions=st.sampled_from([(), (XmlElement("e"),)]),
)  # fmt: skip
LINKS = st.builds(Link, st.text("ab", max_size=3), st.sampled_from(["self", "edit", "alternate"]))
STATUSES = st.sampled_from(["accepted", " Pending ", "UNCONFIRMED", "odd", ""])
ENTRIES = st.builds(
    Entry,
    id=st.none() | st.sampled_from(["", "x", "tag:profiles.ibm.com,2006:entry", "tag:profiles.ibm.com,2006:entry1"]),
    title=st.none() | st.builds(Text, st.text(max_size=3)),
    updated_text=st.sampled_from([None, "", "2017-05-15T13:37:45.123Z"]),
    content=st.none()
    | st.builds(Content, st.text(max_size=3) | st.binary(max_size=3), st.sampled_from(["text", "a/b"])),
    authors=st.lists(PEOPLE, max_size=2).map(tuple),
    contributors=st.lists(PEOPLE, max_size=2).map(tuple),
    links=st.lists(LINKS, max_size=4).map(tuple),
    categories=st.lists(st.builds(Category, STATUSES, st.just(f"{SN}/status")), max_size=2).map(tuple),
    connection=st.builds(ConnectionEnds, st.none() | PEOPLE, st.none() | PEOPLE),
)


def entries_of(path: Path) -> list[Entry]:
    reader = Reader()
    entries = reader.feed(path.read_bytes())
    return entries + list(reader.close().entries)


def test_the_documents_have_connections() -> None:
    assert sum(kind_of(entry) == "connection" for path in DOCUMENTS for entry in entries_of(path)) > 5


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.stem for path in DOCUMENTS])
def test_connections_of_the_documents(path: Path) -> None:
    once = person_from_cached()
    for entry in entries_of(path) * 2:
        if kind_of(entry) == "connection":
            # by repr, because identities that differ in case are equal
            assert repr(connection_from(entry, once)) == repr(connection_from(entry))
        else:
            with pytest.raises(AtomError, match="does not describe a connection"):
                connection_from(entry, once)


@given(st.lists(ENTRIES, max_size=4))
def test_connections_of_any_entries(entries: list[Entry]) -> None:
    once = person_from_cached()
    for entry in entries:
        assert repr(connection_from(entry, once)) == repr(connection_from(entry))


@given(st.lists(st.none() | PEOPLE, max_size=8))
def test_any_people(people: list[AtomPerson | None]) -> None:
    once = person_from_cached()
    for person in people * 2:
        assert repr(once(person)) == repr(person_from(person))


def test_people_who_differ_in_case_only_stay_apart() -> None:
    once = person_from_cached()
    people = [once(AtomPerson(email=email)) for email in ("a@x.org", "A@x.org")]
    assert [str(person.email) for person in people] == ["a@x.org", "A@x.org"]


def test_a_person_is_converted_once_and_then_forgotten() -> None:
    once = person_from_cached()
    first = once(AtomPerson(userid="0"))
    others = [once(AtomPerson(userid=str(number))) for number in range(1, 100)]
    assert once(AtomPerson(userid="0")) is first
    assert once(None) is once(None)
    others += [once(AtomPerson(userid=str(number))) for number in range(100, 1000)]
    again = once(AtomPerson(userid="0"))
    assert again == first
    assert again is not first, "the cache has no bound"
    assert others == [Person(userid=Userid(str(number))) for number in range(1, 1000)]


def test_the_people_of_a_listing_are_shared_over_its_pages() -> None:
    path = DATA / "colleagues-6.0.atom"
    pager = colleagues(Address.of("https://c.example.com"), Email("me@example.com"))
    connections: list[Connection] = []
    for prefix in (b":entry1", b":entry2"):
        assert pager.next_request() is not None
        pager.begin(answer(200, "", ATOM))
        connections += pager.feed(path.read_bytes().replace(b":entry1", prefix)) + pager.end()
    expected = [connection_from(entry) for entry in entries_of(path)]
    expected += [evolve(connection, id=f"2{(connection.id or '')[1:]}") for connection in expected]
    assert repr(connections) == repr(expected)
    assert all(one.source is other.source for one, other in pairwise(connections))
    assert connections[0].target is connections[0].contributor is connections[1].author
