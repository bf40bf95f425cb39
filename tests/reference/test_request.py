from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.reference.request import parse_query

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(name=_TEXT, value=_TEXT)
def test_any_text_is_decoded(name: str, value: str) -> None:
    for encode in (lambda text: quote(text, safe=""), quote_plus):
        assert parse_query(f"{encode(name)}={encode(value)}".encode()) == {name: [value]}


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        (b"a=x+y%2B", {"a": ["x y+"]}),
        (b"a=%C3%A9%c3%a9", {"a": ["éé"]}),
        (b"a=b=c", {"a": ["b=c"]}),
        (b"a", {"a": [""]}),
        (b"%61=1", {"a": ["1"]}),
        (b"a=%252F", {"a": ["%2F"]}),
    ],
)
def test_parse_as_a_servlet_container(query: bytes, parameters: dict[str, list[str]]) -> None:
    assert parse_query(query) == parameters


@pytest.mark.parametrize("query", [b"a=%", b"a=%4", b"a=%zz", b"a=%FF", b"a=%C3", "a=é".encode(), b"a=b c"])
def test_invalid_query(query: bytes) -> None:
    assert parse_query(query) is None
