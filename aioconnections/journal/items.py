"""References of items: the text by which a journal names and compares an item, and its columns in a report."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

from aioconnections.records import Identity, Pair

__all__ = [
    "APPLICATION",
    "MESSAGE_DIGEST",
    "NOTHING",
    "ItemName",
    "is_journal",
    "item_reference",
    "pair_reference",
    "reference_columns",
]

APPLICATION = 0x61696F63
"""The application id in the header of the SQLite database of a journal."""

NOTHING = "{}"
"""The reference of an item that could not be parsed; a later run may have any item at this index."""

MESSAGE_DIGEST = "message_digest"
"""The column for the digest of the message that is sent with an item."""

ItemName: TypeAlias = tuple[Literal["connection_id", "invitation_href"], str]
"""Kind and value of the name of an item that is not a person."""

_quote = json.encoder.encode_basestring_ascii  # ASCII only, so that any text can be stored


def item_reference(
    *, pair: Pair | None = None, person: Identity | None = None, ref: ItemName | None = None, digest: str | None = None
) -> str:
    """Return the reference of an item: JSON text that is the same for this item in every run and every version.

    Args:
        pair: two people.
        person: one person.
        ref: the name of a connection or an invitation.
        digest: digest of the message sent with the item: the same people with another message are another item.
    """
    named: list[str] = []
    if pair is not None:
        source, target = pair.source, pair.target
        named.append(f'"source_{source.kind}":{_quote(source.value)},"target_{target.kind}":{_quote(target.value)}')
    if person is not None:
        named.append(f'"{person.kind}":{_quote(person.value)}')
    if ref is not None:
        named.append(f'"{ref[0]}":{_quote(ref[1])}')
    if digest is not None:
        named.append(f'"{MESSAGE_DIGEST}":{_quote(digest)}')
    return f"{{{','.join(named)}}}"


def pair_reference(pair: Pair) -> str:
    """The reference of two people alone: the same text as of `item_reference`, at a fraction of the cost."""
    source, target = pair.source, pair.target
    return f'{{"source_{source.kind}":{_quote(source.value)},"target_{target.kind}":{_quote(target.value)}}}'


def reference_columns(reference: str) -> dict[str, str]:
    """The names and values in a reference: ``source_email``, ``userid``, ``connection_id``, ``message_digest``, ...

    `JournalMismatchError.was` and `now` are references. Text that is not a JSON object becomes one column, ``item``.
    """
    try:
        named: Any = json.loads(reference)
        return {str(name): str(value) for name, value in named.items()}
    except (ValueError, AttributeError):
        return {"item": reference}


def is_journal(path: Path) -> bool:
    """Whether a file is a journal, of any format, even if damaged. Reads the file without SQLite.

    https://www.sqlite.org/fileformat2.html#the_database_header has the application id at offset 68.
    """
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                header = file.read(72)
            return header.startswith(b"SQLite format 3\0") and header[68:] == APPLICATION.to_bytes(4, "big")
    return False
