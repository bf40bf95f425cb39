"""Each row belongs to exactly one shard, by a rule that never changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.cluster import Shard
from aioconnections.errors import InvalidInputError
from aioconnections.records import Email, Identity, Key, Userid

TEXTS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)
IDENTITIES: st.SearchStrategy[Identity] = st.one_of(
    TEXTS.map(Userid), TEXTS.map(Key), TEXTS.map(lambda text: Email(f"{text}@example.com"))
)


@pytest.mark.parametrize(("text", "number", "of"), [("3/16", 3, 16), ("1/1", 1, 1), ("03/016", 3, 16)])
def test_a_shard_is_written_as_a_fraction(text: str, number: int, of: int) -> None:
    shard = Shard.parse(text)
    assert (shard.number, shard.of, str(shard)) == (number, of, f"{number}/{of}")
    assert shard == Shard(number, of=of)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0/16", "there is no shard 0 of 16; shards are numbered from 1 to 16"),
        ("17/16", "there is no shard 17 of 16; shards are numbered from 1 to 16"),
        ("0/0", "0 shards are not possible; the number of shards is from 1 to 100,000"),
        ("1/100001", "100,001 shards are not possible; the number of shards is from 1 to 100,000"),
        *(
            (
                text,
                f"{text!r} is not a shard; write it as 3/16: the number of the shard, from 1, and the number of shards",
            )
            for text in (
                "",
                "3",
                "/16",
                "3/",
                "-1/16",
                "+3/16",
                "3 / 16",
                " 3/16",
                "3/16\n",
                "3/16/1",
                "３/16",
                "1e1/16",
            )
        ),
    ],
)
def test_another_text_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Shard.parse(text)
    assert str(caught.value) == problem


def test_a_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidInputError, match=f"'{'9' * 40}' is not a shard"):
        Shard.parse("9" * 5_000 + "/16")


@given(IDENTITIES, st.integers(1, 60), st.integers(1, 2**60))
def test_a_person_and_a_row_are_in_exactly_one_shard(who: Identity, of: int, row: int) -> None:
    shards = [Shard(number, of=of) for number in range(1, of + 1)]
    assert sum(shard.holds(who) for shard in shards) == 1
    assert sum(shard.holds_row(row) for shard in shards) == 1


def shard_of(who: Identity | int, of: int = 1_000) -> int:
    shards = (Shard(number, of=of) for number in range(1, of + 1))
    return next(
        shard.number for shard in shards if (shard.holds_row(who) if isinstance(who, int) else shard.holds(who))
    )


def test_shards_never_change() -> None:
    """If one of these values changes, machines with different versions leave rows out, or process them twice."""
    assert {str(who): shard_of(who) for who in PINNED} == dict(zip(map(str, PINNED), SHARDS, strict=True))


PINNED: list[Identity | int] = [
    Email("ann.jones@example.com"),
    Email("jürgen.groß@example.com"),
    Userid("ajones"),
    Userid("AJones"),
    Userid("uid=ajones,ou=people,o=example"),
    Key("8c2a4d1f-0000-4000-8000-000000000001"),
    Userid("用户"),
    1,
    2,
    1_000_000,
]
SHARDS = [793, 99, 708, 460, 190, 345, 324, 524, 630, 320]


def test_identities_that_compare_equal_are_in_one_shard() -> None:
    assert shard_of(Email("Ann.Jones@Example.COM")) == shard_of(Email("ann.jones@example.com"))
    assert shard_of(Key("ABC")) == shard_of(Key("abc"))
    assert shard_of(Userid("AJones")) != shard_of(Userid("ajones"))
    assert len({shard_of(make("ajones")) for make in (Userid, Key)}) == 2


def test_shards_have_about_the_same_size() -> None:
    for of in (3, 16):
        shards = [Shard(number, of=of) for number in range(1, of + 1)]
        people = [Userid(f"u{number}") for number in range(4_000)]
        for shard in shards:
            assert 0.7 < sum(map(shard.holds, people)) * of / 4_000 < 1.3
            assert 0.7 < sum(map(shard.holds_row, range(2, 80_000, 20))) * of / 4_000 < 1.3
