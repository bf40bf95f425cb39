from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.reference.numbers import Guids, draws, mix


@given(seed=st.integers(), number=st.integers(0, 2**60))
def test_guid_is_decoded_in_any_case(seed: int, number: int) -> None:
    guids = Guids(seed)
    text = guids.write(number)
    assert [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]
    assert guids.read(text) == guids.read(text.upper()) == number


@pytest.mark.parametrize("text", ["", "1234", "x" * 36, "-" * 36])
def test_other_text_is_not_decoded(text: str) -> None:
    assert Guids(1).read(text) is None


def test_draws_depend_on_the_seed_only() -> None:
    assert list(islice(draws(1, 2), 2)) == [13061140049163765830, 11718288113337674445]
    assert list(islice(draws(1, 2), 9)) == list(islice(draws(1, 2), 9))
    assert list(islice(draws(1, 2), 9)) != list(islice(draws(2, 1), 9))
    assert len({mix(number) % 1024 for number in range(20_000)}) == 1024
