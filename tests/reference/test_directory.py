from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Container
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioconnections.records import Email, Key, Person, Status, Userid
from aioconnections.reference import ADMINISTRATOR, Directory

# protocol: two rows per relationship; the inviter sees unconfirmed, the invitee pending
OTHER_SIDE = {
    Status.ACCEPTED: Status.ACCEPTED,
    Status.PENDING: Status.UNCONFIRMED,
    Status.UNCONFIRMED: Status.PENDING,
    None: None,
}
_SIZES = st.sampled_from([10, 11, 57, 1000, 1_000_000])


def _identities(person: Person) -> tuple[Email, Userid, Key]:
    assert person.email is not None
    assert person.userid is not None
    assert person.key is not None
    return person.email, person.userid, person.key


@given(size=_SIZES, seed=st.integers(), data=st.data())
def test_each_person_is_found_by_each_identity(size: int, seed: int, data: st.DataObject) -> None:
    directory = Directory.generate(people=size, seed=seed)
    person = directory.people[data.draw(st.integers(0, size - 1))]
    email, userid, key = _identities(person)
    for same in (email, userid, key, Email(email.value.upper()), Key(key.value.upper())):
        assert directory.find(same) == person
    assert person in directory.people


@given(seed=st.integers(), data=st.data())
def test_only_the_exact_identifier_is_found(seed: int, data: st.DataObject) -> None:
    directory = Directory.generate(people=100, seed=seed)
    person = directory.people[data.draw(st.integers(0, 99))]
    email, userid, key = _identities(person)
    position = data.draw(st.integers(0, 200))
    for identity in (email, userid, key):
        text = identity.value
        at = position % (text.find("@") if identity is email else len(text))
        changed = type(identity)(f"{text[:at]}{'#' if text[at] != '#' else '!'}{text[at + 1 :]}")
        assert directory.find(changed) is None
        assert directory.find(type(identity)(f"{text}0")) is None
    other_case = userid.value.swapcase()
    assert other_case == userid.value or directory.find(Userid(other_case)) is None


@given(text=st.text(min_size=1).filter(lambda text: text.strip().isprintable() and text.strip() != ""))
def test_other_text_is_not_found(text: str) -> None:
    directory = Directory.generate(people=1000, seed=1)
    for kind in ("email", "userid", "key"):
        number = directory.number(kind, text)
        assert number is None or text.strip().casefold() in {
            identity.value.casefold() for identity in _identities(directory.person(number))
        }


def test_long_text_is_rejected_quickly() -> None:
    directory = Directory.generate(people=1000, seed=1)
    assert directory.number("userid", "1 " * 100_000) is None
    assert directory.number("email", "9" * 1_000_000) is None


def test_identities_are_unique() -> None:
    directory = Directory.generate(people=5000, seed=3)
    seen = {identity for person in directory.people for identity in _identities(person)}
    assert len(seen) == 3 * 5000


def test_the_people_are_varied() -> None:
    people = Directory.generate(people=5000, seed=3).people
    userids = [str(person.userid) for person in people]
    assert 0.4 < sum(not str(person.name).isascii() for person in people) / 5000 < 0.7
    assert Counter(person.state for person in people)["inactive"] > 100
    assert sum(person.external is True for person in people) > 100
    assert sum(len(userid) == 36 and userid == userid.upper() for userid in userids) > 2500
    assert sum(userid.isdecimal() for userid in userids) > 100
    for awkward in "+&%/ #?=;ë\\\u0308":
        assert any(awkward in userid for userid in userids), awkward
    for awkward in "+'":
        assert any(awkward in str(person.email) for person in people)
    assert all(str(person.key).islower() and str(person.key).isascii() for person in people)


@pytest.mark.parametrize("size", [10, 11, 12, 13, 64, 65])
@pytest.mark.parametrize("seed", [0, 1, -5])
def test_both_sides_of_every_pair_agree(size: int, seed: int) -> None:
    directory = Directory.generate(people=size, seed=seed)
    seen: Counter[Status | None] = Counter()
    for source, target in permutations(directory.people, 2):
        status = directory.status(source, target)
        assert directory.status(target, source) is OTHER_SIDE[status]
        seen[status] += 1
    assert all(seen[status] > 0 for status in (*Status, None))
    assert seen[Status.PENDING] == seen[Status.UNCONFIRMED]


def test_each_row_has_its_own_id() -> None:
    directory = Directory.generate(people=150, seed=2)
    ids: set[str] = set()
    for number in range(150):
        for row in directory.rows_of(number):
            other = directory.row(row.target, row.source)
            assert other is not None
            assert (other.updated, other.message) == (row.updated, row.message)
            assert directory.row_with_id(directory.connection_id(row)) == row
            assert directory.row_with_id(f" {directory.connection_id(row).upper()}\n") == row
            ids |= {directory.connection_id(row), directory.connection_id(other)}
    assert len(ids) == sum(1 for number in range(150) for _ in directory.rows_of(number))


@given(st.text(max_size=40) | st.uuids().map(str))
def test_unknown_id_has_no_row(connection_id: str) -> None:
    assert Directory.generate(people=10, seed=1).row_with_id(connection_id) is None


def test_neighbours_are_the_people_with_a_connection() -> None:
    directory = Directory.generate(people=300, seed=5)
    for person in directory.people[::30]:
        expected = {str(other.key): directory.status(person, other) for other in directory.people}
        found = {str(other.key): status for other, status in directory.neighbours(person)}
        assert found == {key: status for key, status in expected.items() if status is not None}
        assert len(found) >= 6


def test_some_people_have_more_colleagues_than_the_largest_page() -> None:
    directory = Directory.generate(people=2000, seed=5)
    popular = (
        sum(1 for _, status in directory.neighbours(person) if status is Status.ACCEPTED) for person in directory.people
    )
    assert any(count > 250 for count in popular)


def test_strangers_and_the_administrator_have_no_connection() -> None:
    directory = Directory.generate(people=10, seed=1)
    unknown = Email("nobody@example.com")
    person = directory.people[0]
    assert directory.find(Userid("admin")) == directory.find(Email("Admin@Example.com")) == ADMINISTRATOR
    assert directory.find(_identities(ADMINISTRATOR)[2]) == ADMINISTRATOR
    assert ADMINISTRATOR not in directory.people
    for one, other in ((person, unknown), (unknown, person), (person, ADMINISTRATOR), (ADMINISTRATOR, person)):
        assert directory.status(one, other) is None
    assert directory.status(person, person) is None
    assert list(directory.neighbours(unknown)) == list(directory.neighbours(ADMINISTRATOR)) == []


def test_the_people_are_a_sequence() -> None:
    people = Directory.generate(people=100, seed=1).people
    assert len(people) == 100
    assert people[-1] == people[99] == people[90:][-1] == list(people)[99]
    assert list(people[10:20:5]) == [people[10], people[15]]
    assert people[15] in people[10:20]
    assert people[20] not in people[10:20]
    assert people.index(people[3]) == 3
    anything: Container[object] = people
    assert "a person" not in anything
    assert Person(name="nobody") not in people
    with pytest.raises(IndexError):
        people[100]
    assert repr(people) == "<100 people>"
    assert repr(Directory.generate(people=1000, seed=1)) == "<Directory of 1,000 people>"


@pytest.mark.parametrize("people", [9, 0, -1, 1_000_001])
def test_size_out_of_range_is_refused(people: int) -> None:
    with pytest.raises(ValueError, match=r"^people must be from 10 to 1,000,000, got"):
        Directory.generate(people=people, seed=1)


def test_directory_depends_on_the_seed() -> None:
    first, again, other = (Directory.generate(people=50, seed=seed) for seed in (1, 1, 2))
    assert list(first.people) == list(again.people) != list(other.people)
    assert list(first.sample_pairs(50)) == list(again.sample_pairs(50)) != list(other.sample_pairs(50))
    assert list(first.sample_pairs(50, seed=1)) != list(first.sample_pairs(50, seed=2))


@settings(max_examples=settings().max_examples // 5)
@given(size=_SIZES, seed=st.integers(0, 99))
def test_half_of_the_sampled_pairs_are_connected(size: int, seed: int) -> None:
    directory = Directory.generate(people=size, seed=seed)
    pairs = list(directory.sample_pairs(60, seed=seed))
    assert all(source != target for source, target in pairs)
    seen = Counter(directory.status(*pair) for pair in pairs)
    assert seen == {None: 30, Status.ACCEPTED: 10, Status.PENDING: 10, Status.UNCONFIRMED: 10}


def test_a_million_people_need_little_memory() -> None:
    tracemalloc.start()
    try:
        directory = Directory.generate(people=1_000_000, seed=1)
        for person in directory.people[::5000]:
            assert directory.find(_identities(person)[0]) == person
        assert all(True for _ in directory.sample_pairs(100))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(directory.people) == 1_000_000
    assert peak < 1_000_000  # bytes; less than one per person
