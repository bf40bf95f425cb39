"""A record that exists can be sent."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from aioconnections import Email, Identity, InvalidInputError, Key, Pair, Person, Status, Userid
from aioconnections.records import identity_of

KINDS: list[type[Identity]] = [Email, Userid, Key]


@pytest.mark.parametrize("kind", KINDS)
def test_an_identity_is_stripped_and_otherwise_kept(kind: type[Identity]) -> None:
    identity = kind("  Zoë O'Neill+x@Example.com\n")
    assert identity.value == str(identity) == "Zoë O'Neill+x@Example.com"
    assert identity.kind == kind.__name__.lower()
    with pytest.raises(FrozenInstanceError):
        identity.value = "other"  # type: ignore[misc]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "value",
    ["", "   ", "\n", "a\x00b", "a\nb", "a\tb", "a\x7fb", "a\x85b", "\ud800", None, 7, b"a", Email("a@b.example")],
)
def test_what_cannot_be_sent_is_refused(kind: type[Identity], value: str) -> None:
    with pytest.raises(InvalidInputError):
        kind(value)


@pytest.mark.parametrize("value", ["a\u00a0b", "zero\u200bwidth", "🦀", "عربى"])
def test_odd_but_sendable_text_is_kept(value: str) -> None:
    assert Userid(value).value == value


@pytest.mark.parametrize("kind", [Email, Key])
def test_case_does_not_tell_people_apart(kind: type[Email | Key]) -> None:
    assert kind("Amy@Example.com") == kind("amy@example.COM")
    assert len({kind("Amy@Example.com"), kind("amy@example.COM")}) == 1


def test_case_tells_userids_apart() -> None:
    assert Userid("A") != Userid("a")


def test_kinds_do_not_mix() -> None:
    assert len({kind("a") for kind in KINDS}) == 3


@given(st.text())
def test_any_text_is_sendable_or_refused(text: str) -> None:
    try:
        value = Userid(text).value
    except InvalidInputError:
        return
    assert value == text.strip() != ""
    value.encode()


def test_statuses_are_text() -> None:
    assert [f"{status}" for status in Status] == ["accepted", "pending", "unconfirmed"]


def test_the_best_identity_of_a_person() -> None:
    userid, key, email = Userid("u"), Key("k"), Email("e@example.com")
    assert Person(userid=userid, key=key, email=email).identity is userid
    assert Person(key=key, email=email).identity is key
    assert Person(name="Amy", email=email).identity is email
    with pytest.raises(InvalidInputError, match="neither"):
        _ = Person(name="Amy").identity


def test_an_identity_of_whatever_names_a_person() -> None:
    assert identity_of(Key("k")) == Key("k")
    assert identity_of(Person(userid=Userid("u"))) == Userid("u")
    with pytest.raises(InvalidInputError, match="not str"):
        identity_of("amy@example.com")  # type: ignore[arg-type]


def test_a_pair_holds_identities() -> None:
    pair = Pair(Person(userid=Userid("u")), Email("e@example.com"))
    assert (pair.source, pair.target) == (Userid("u"), Email("e@example.com"))
    assert pickle.loads(pickle.dumps(pair)) == pair  # noqa: S301 # our own
    assert len({pair, Pair(Userid("u"), Email("E@EXAMPLE.com"))}) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Pair(Email("a@example.com"), Email("A@example.com")),
        lambda: Pair(Userid("u"), Person(userid=Userid("u"))),
        lambda: Pair(Email("a@example.com"), "b@example.com"),  # type: ignore[arg-type]
        lambda: Pair(Person(), Userid("u")),
    ],
)
def test_a_pair_is_of_two_people(make: Callable[[], Pair]) -> None:
    with pytest.raises(InvalidInputError):
        make()


def test_the_same_text_of_two_kinds_may_be_two_people() -> None:
    assert Pair(Userid("x"), Key("x")).source != Pair(Userid("x"), Key("x")).target
