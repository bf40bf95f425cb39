"""The text of an item is the same in every run, and comes back as reference_columns."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aioconnections import Email, Identity, Key, Pair, Userid
from aioconnections.journal import reference_columns
from aioconnections.journal.items import ItemName, item_reference, pair_reference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            item_reference(pair=Pair(Email("A@example.com"), Key("k"))),
            '{"source_email":"A@example.com","target_key":"k"}',
        ),
        (item_reference(person=Userid("Zoë"), digest="ab12"), '{"userid":"Zo\\u00eb","message_digest":"ab12"}'),
        (item_reference(ref=("connection_id", "c-1")), '{"connection_id":"c-1"}'),
        (item_reference(ref=("invitation_href", "https://x/y?z=1")), '{"invitation_href":"https://x/y?z=1"}'),
        (item_reference(), "{}"),
    ],
)
def test_the_text_never_changes(text: str, expected: str) -> None:
    assert text == expected


NAMES = st.text(st.characters(categories=["L", "N"], include_characters="'+-=/"), min_size=1)


@pytest.mark.slow
@given(kind=st.sampled_from([Email, Userid, Key]), name=NAMES, ref=st.text(), digest=st.none() | st.text())
def test_columns_give_back_what_the_text_was_made_of(
    kind: type[Email | Userid | Key], name: str, ref: str, digest: str | None
) -> None:
    person: Identity = kind(f"x{name}@example.com" if kind is Email else name)
    what: ItemName = ("connection_id", ref)
    text = item_reference(person=person, ref=what, digest=digest)
    assert text.isascii()
    more = {} if digest is None else {"message_digest": digest}
    assert reference_columns(text) == {person.kind: person.value, "connection_id": ref} | more


@given(source=NAMES, target=NAMES)
@example(source="Zoë", target="\U00020000")
def test_a_pair_has_the_same_text_by_both_functions(source: str, target: str) -> None:
    pair = Pair(Userid(source), Key(target))
    assert pair_reference(pair) == item_reference(pair=pair)


@pytest.mark.parametrize("text", ["anything", "[1]", "{", ""])
def test_a_text_of_somebody_elses_is_one_column(text: str) -> None:
    assert reference_columns(text) == {"item": text}
