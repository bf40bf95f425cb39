"""Items as the text that a journal keeps and compares, and back as the columns of a report."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

from aioconnections.records import Identity, Pair

__all__ = ["APPLICATION", "NOTHING", "Ref", "columns", "is_journal", "item_text"]

APPLICATION = 0x61696F63
"""What the header of an SQLite database says of a journal."""

NOTHING = "{}"
"""The text of an item that was none; whatever stands in its place in a later run is fine."""

Ref: TypeAlias = tuple[Literal["connection_id", "invitation_href"], str]
"""What names an item that is no person: which kind of name it is, and the name."""

_encode = json.JSONEncoder(separators=(",", ":")).encode  # ASCII alone, so that any text can be stored


def item_text(
    *, pair: Pair | None = None, person: Identity | None = None, ref: Ref | None = None, digest: str | None = None
) -> str:
    """The text of an item: JSON that is the same for the same item in every run and every version.

    Args:
        pair: two people.
        person: one.
        ref: a connection or an invitation that is named by itself.
        digest: of the message that goes with it, so that another message is another item.
    """
    named: dict[str, str] = {}
    if pair is not None:
        named[f"source_{pair.source.kind}"] = pair.source.value
        named[f"target_{pair.target.kind}"] = pair.target.value
    if person is not None:
        named[person.kind] = person.value
    if ref is not None:
        named[ref[0]] = ref[1]
    if digest is not None:
        named["message_digest"] = digest
    return _encode(named)


def columns(item: str) -> dict[str, str]:
    """The names and values that `item_text` was given: ``source_email``, ``userid``, ``connection_id`` and so on.

    A text that `item_text` did not make is one column of the name ``item``.
    """
    try:
        named: Any = json.loads(item)
        return {str(name): str(value) for name, value in named.items()}
    except (ValueError, AttributeError):
        return {"item": item}


def is_journal(path: Path) -> bool:
    """Whether a file is a journal, of any format, damaged or not; it is looked at without SQLite.

    https://www.sqlite.org/fileformat2.html#the_database_header has the application id at offset 68.
    """
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                header = file.read(72)
            return header.startswith(b"SQLite format 3\0") and header[68:] == APPLICATION.to_bytes(4, "big")
    return False
