"""What the table of edges remembers, what it takes, and which lists it finds to disagree."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.policy import digests
from aioconnections.policy.edges import Disagreement, EdgeTable

PLENTY = 1 << 30
PEOPLE = ["a", "b", "ab", "1", "1,a", ",a", "é", "\ud800", ""]
LISTS = st.lists(st.tuples(st.sampled_from(PEOPLE), st.lists(st.sampled_from(PEOPLE), max_size=8)), max_size=12)


@pytest.fixture
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_MOST_IN_BUCKET", 4)


class Model:
    """The same as the table, with everything kept."""

    def __init__(self) -> None:
        self.lists: dict[str, set[str]] = {}

    def add(self, person: str, neighbours: list[str]) -> None:
        self.lists[person] = self.lists.get(person, set()) | set(neighbours) - {person}

    def connects(self, one: str, other: str) -> bool:
        return other in self.lists.get(one, ()) or one in self.lists.get(other, ())

    def disagreement(self, person: str, neighbours: list[str]) -> Disagreement | None:
        named = dict.fromkeys(name for name in neighbours if name != person)
        missing = tuple(it for it in named if it in self.lists and not self.connects(person, it))
        lost = 0
        if person not in self.lists:
            lost = sum(person in theirs and owner not in named for owner, theirs in self.lists.items())
        return Disagreement(missing, lost) if missing or lost else None


@pytest.mark.usefixtures("small_buckets")
def test_the_table_remembers_and_compares_like_a_set_of_all_lists() -> None:
    @given(LISTS)
    def compare(lists: list[tuple[str, list[str]]]) -> None:
        table, model = EdgeTable(PLENTY), Model()
        for person, neighbours in lists:
            assert table.disagreement(person, neighbours) == model.disagreement(person, neighbours)
            assert table.add(person, neighbours)
            model.add(person, neighbours)
        assert [table.has_list(person) for person in PEOPLE] == [person in model.lists for person in PEOPLE]
        assert table.lists == len(model.lists)
        for one in PEOPLE:
            for other in PEOPLE:
                assert table.connects(one, other) is model.connects(one, other), (one, other)

    compare()


@given(st.text(), st.text(), st.text(), st.text())
def test_two_pairs_are_one_edge_only_if_they_have_the_same_people(
    one: str, other: str, third: str, fourth: str
) -> None:
    table = EdgeTable(PLENTY)
    table.add(one, [other])
    assert table.connects(third, fourth) is (one != other and {one, other} == {third, fourth})
    assert table.connects(other, one) is (one != other)


@pytest.mark.parametrize(
    ("pair", "other"), [("a|bc", "ab|c"), ("a|b,c", "a,b|c"), ("1|1,b", "1,1|b"), ("1|2,ab", "12,a|b"), ("|ab", "a|b")]
)
def test_names_that_read_alike_when_joined_are_different_pairs(pair: str, other: str) -> None:
    table = EdgeTable(PLENTY)
    one, its = pair.split("|")
    table.add(one, [its])
    assert table.connects(its, one)
    assert not table.connects(*other.split("|"))


@pytest.mark.usefixtures("small_buckets")
def test_every_digest_is_found_in_whatever_order_they_came() -> None:
    random = Random(1)
    lists = {f"u{number}": [f"v{random.randrange(50)}" for _ in range(20)] for number in range(50)}
    table = EdgeTable(PLENTY)
    for person, neighbours in lists.items():
        assert table.add(person, neighbours)
    for person, neighbours in lists.items():
        assert [table.connects(person, f"v{number}") for number in range(50)] == [
            f"v{number}" in neighbours for number in range(50)
        ]


def test_lists_that_name_each_other_agree_in_any_order() -> None:
    table = EdgeTable(PLENTY)
    for person, neighbours in [("a", ["b", "c", "x"]), ("b", ["c", "a"]), ("c", ["b", "a"]), ("d", [])]:
        assert table.disagreement(person, neighbours) is None
        table.add(person, neighbours)


def test_a_listed_person_who_does_not_name_the_other_is_found() -> None:
    table = EdgeTable(PLENTY)
    table.add("a", ["x"])
    table.add("b", ["c"])
    assert table.disagreement("c", ["b", "a", "a", "unlisted"]) == Disagreement(("a",), 0)


def test_lists_that_name_a_person_who_does_not_name_them_are_counted_and_can_be_found() -> None:
    table = EdgeTable(PLENTY)
    for owner in "abcd":
        table.add(owner, ["x", "x"])
    assert table.disagreement("x", ["a", "c"]) == Disagreement((), 2)
    assert [owner for owner in "abcd" if owner not in "ac" and table.connects("x", owner)] == ["b", "d"]
    assert table.disagreement("x", ["a", "b", "c", "d", "e"]) is None
    assert table.disagreement("x", ["a", "b", "c", "d", "d"]) is None, "a repeated entry counts once"


def test_a_second_list_of_the_same_person_adds_edges_and_explains_a_change() -> None:
    table = EdgeTable(PLENTY)
    table.add("a", ["x"])
    assert table.disagreement("b", ["a"]) == Disagreement(("a",), 0)
    table.add("a", ["x", "b"])
    assert table.lists == 1
    assert table.disagreement("b", ["a"]) is None
    assert table.disagreement("b", []) == Disagreement((), 1)
    assert table.disagreement("x", ["a"]) is None, "the list of a counts once"
    assert table.disagreement("a", []) is None, "edges do not vanish"


def test_people_do_not_name_themselves() -> None:
    table = EdgeTable(PLENTY)
    assert table.disagreement("a", ["a"]) is None
    table.add("a", ["a"])
    assert not table.connects("a", "a")
    assert table.disagreement("a", ["a"]) is None


def test_a_list_that_does_not_fit_leaves_nothing_and_ends_admission() -> None:
    empty = EdgeTable(PLENTY).bytes_used
    table = EdgeTable(empty + 1000)
    assert table.add("a", ["b", "c"])
    was_full, used = table.is_full, table.bytes_used
    assert not was_full
    assert not table.add("d", [f"u{number}" for number in range(100)])
    assert table.is_full
    assert not table.add("e", [])
    assert table.bytes_used == used
    assert (table.lists, table.has_list("d"), table.has_list("e"), table.connects("d", "u0")) == (
        1,
        False,
        False,
        False,
    )
    assert table.connects("a", "c"), "what was admitted stays"
    assert repr(table) == f"EdgeTable(2 edges of 1 lists, {used} bytes, full)"


def test_a_list_of_known_edges_takes_no_room() -> None:
    room = EdgeTable(PLENTY)
    names = [f"u{number}" for number in range(50)]
    for name in names[:49]:
        room.add(name, [*names])
    table = EdgeTable(room.bytes_used)
    for name in names:
        assert table.add(name, [*names, name])
    assert (table.lists, table.bytes_used) == (50, room.bytes_used)
    assert not table.add(names[0], ["another"])
    assert repr(room) == f"EdgeTable(1225 edges of 49 lists, {room.bytes_used} bytes)"


@given(LISTS, st.integers(0, 400))
def test_the_table_never_takes_more_than_its_memory_and_admits_what_fits(
    lists: list[tuple[str, list[str]]], room: int
) -> None:
    most = EdgeTable(0).bytes_used + room
    table, unbounded = EdgeTable(most), EdgeTable(PLENTY)
    for person, neighbours in lists:
        unbounded.add(person, neighbours)
        fits = unbounded.bytes_used <= most
        assert table.add(person, neighbours) is fits
        assert table.bytes_used <= most
        if not fits:
            break


@pytest.mark.parametrize("memory", [0, 1000])
def test_a_table_without_room_is_full_at_once(memory: int) -> None:
    table = EdgeTable(memory)
    assert not table.add("a", [])
    assert table.is_full


def test_a_key_changes_the_digests() -> None:
    tables = [EdgeTable(PLENTY, key=key) for key in (b"", b"one", b"other")]
    assert len({table._pair("a", "b") for table in tables}) == 3
    assert len({table._person("a") for table in tables}) == 3
    assert EdgeTable(0, key=b"one")._pair("b", "a") == tables[1]._pair("a", "b")
    with pytest.raises(ValueError, match="64"):
        EdgeTable(0, key=bytes(65))


def test_memory_is_not_negative() -> None:
    with pytest.raises(ValueError, match=r"^memory_bytes is -1; expected 0 or more$"):
        EdgeTable(-1)


@pytest.mark.parametrize(
    ("edge_count", "people"),
    [(12_000, 0), (0, 6000), (50_000, 12_000), pytest.param(800_000, 200_000, marks=pytest.mark.full)],
)
def test_the_memory_used_is_stated(edge_count: int, people: int) -> None:
    random = Random(2)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        table = EdgeTable(PLENTY)
        for _ in range(edge_count):
            table._edges.add(random.getrandbits(64))
        for _ in range(people):
            table._people.set(random.getrandbits(64), 1)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= table.bytes_used <= 1.3 * taken + 2048
    assert table.bytes_used <= 12 * edge_count + 16 * people + 2048
