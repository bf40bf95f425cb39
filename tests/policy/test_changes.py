"""Whose connections may have changed: people under all of their identities, and everybody where they are not known."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from aioconnections import Connection, Email, Identity, Key, Person, Userid
from aioconnections.policy import changes as module
from aioconnections.policy.changes import Changes, Touched, ends_of

ANN, BOB, EVE = Userid("ann"), Userid("bob"), Userid("eve")
ANN_MAIL, BOB_MAIL, EVE_MAIL = (Email(f"{name}@example.com") for name in ("ann", "bob", "eve"))
ANN_KEY, EVE_KEY = Key("k1"), Key("k5")


def person(*identities: Identity) -> Person:
    own = {type(it).kind: it for it in identities}
    return Person(**own)  # type: ignore[arg-type] # the kinds are the names


ANN_RECORD = person(ANN, ANN_MAIL, ANN_KEY)
BOB_RECORD = person(BOB, BOB_MAIL, Key("k2"))


def after(*touched: Touched, learn: Iterable[Person] = ()) -> Changes:
    changes = Changes()
    for each in learn:
        changes.learn(each)
    for people in touched:
        changes.made(people)
    return changes


def test_nothing_has_changed_at_first() -> None:
    changes = Changes()
    assert changes.unchanged((ANN, BOB_MAIL), changes.count)
    assert changes.unchanged(None, changes.count)
    assert repr(changes) == "Changes(0, 0 aliases)"


@pytest.mark.parametrize(
    ("touched", "others", "same"),
    [
        ((ANN,), [(EVE, BOB)], [(ANN, EVE), (EVE, ANN), (ANN_MAIL, EVE), (EVE, EVE_KEY), (BOB_MAIL, EVE_MAIL)]),
        ((Userid("A-1"),), [(EVE, BOB)], [(Userid("a-1"), EVE), (EVE, Userid("A-1"))]),
        ((Userid("a-1"),), [(EVE, BOB)], [(Userid("A-1"), EVE)]),
        ((ANN, BOB), [(EVE, Userid("x"))], [(ANN, EVE), (EVE, BOB), (EVE, BOB_MAIL)]),
        ((ANN_MAIL,), [(EVE_MAIL, BOB_MAIL)], [(Email("ANN@example.com"), EVE_MAIL), (EVE, BOB), (EVE_KEY, BOB_MAIL)]),
        ((ANN_RECORD,), [(EVE, BOB), (EVE_MAIL, BOB), (EVE_KEY, EVE)], [(ANN_MAIL, EVE), (ANN_KEY, EVE), (EVE, ANN)]),
        ((Person(name="Ann"),), [], [(EVE, BOB), (EVE_MAIL, BOB_MAIL), (EVE_KEY, BOB)]),
        (None, [], [(EVE, BOB), (EVE_MAIL, BOB_MAIL), (EVE_KEY, EVE)]),
        ((), [(ANN, BOB), (ANN_MAIL, EVE_KEY)], []),
    ],
)
def test_a_change_concerns_all_who_may_be_the_same_person(
    touched: Touched, others: list[tuple[Identity, ...]], same: list[tuple[Identity, ...]]
) -> None:
    changes = after(touched)
    assert all(changes.unchanged(people, 0) for people in others)
    assert not any(changes.unchanged(people, 0) for people in same)
    assert all(changes.unchanged(people, changes.count) for people in (*others, *same))
    assert not changes.unchanged(None, 0)


def test_a_known_person_is_concerned_under_each_identity_and_no_other_person_is() -> None:
    changes = after((ANN_MAIL, BOB), learn=[person(ANN, ANN_KEY), person(ANN_MAIL, ANN_KEY), BOB_RECORD])
    assert repr(changes) == "Changes(1, 6 aliases)"
    for one in (ANN, ANN_MAIL, ANN_KEY, BOB, BOB_MAIL):
        assert not changes.unchanged((one, EVE), 0)
        assert not changes.unchanged((EVE, one), 0)
    for pair in ((EVE, Userid("x")), (EVE_MAIL, EVE), (EVE_KEY, EVE_MAIL)):
        assert changes.unchanged(pair, 0)


def test_a_later_question_is_not_concerned_by_an_earlier_change() -> None:
    changes = after((ANN, BOB), (BOB, EVE))
    assert not changes.unchanged((ANN, BOB), 1)
    assert changes.unchanged((ANN, Userid("x")), 1)
    assert not changes.unchanged((ANN, EVE_MAIL), 1)


def test_one_identity_teaches_nothing() -> None:
    changes = after(learn=[person(ANN), Person(name="Bob")])
    assert repr(changes) == "Changes(0, 0 aliases)"


def test_an_address_that_passed_to_another_person_is_no_longer_the_first_one() -> None:
    changes = after((ANN,), learn=[ANN_RECORD, person(EVE, ANN_MAIL)])
    assert not changes.unchanged((BOB_MAIL, BOB), 0)  # it is not known any more which address is hers
    changes = after((EVE,), learn=[ANN_RECORD, person(EVE, EVE_KEY, ANN_MAIL)])
    assert not changes.unchanged((ANN_MAIL, BOB), 0)
    assert changes.unchanged((BOB_MAIL, ANN), 0)


def test_two_records_that_contradict_each_other_are_not_joined() -> None:
    """The address and the key were those of different people."""
    changes = after((BOB,), learn=[person(ANN, ANN_MAIL), person(EVE, ANN_KEY), person(BOB, ANN_MAIL, ANN_KEY)])
    assert not changes.unchanged((ANN_MAIL, EVE), 0)
    assert not changes.unchanged((ANN_KEY, EVE), 0)
    assert changes.unchanged((ANN, EVE), 0)


def test_the_memory_is_bounded_and_what_is_forgotten_counts_as_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 100)
    changes = Changes()
    for number in range(102):
        changes.made((Userid(f"p{number}"),))
    assert not changes.unchanged((EVE, BOB), 0)  # EVE was never named
    assert changes.unchanged((EVE, BOB), changes.count)
    for number in range(51):
        changes.learn(person(Userid(f"p{number}"), Email(f"p{number}@example.com")))
    before = changes.count
    changes.learn(person(ANN, ANN_MAIL))
    assert repr(changes) == f"Changes({before}, 2 aliases)"


def test_the_ends_of_a_connection() -> None:
    assert ends_of(Connection("1", None, ANN_RECORD, BOB_RECORD)) == (ANN_RECORD, BOB_RECORD)
    assert ends_of(Connection("1", None, ANN_RECORD, Person(name="Bob"))) is None
