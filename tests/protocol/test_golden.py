"""Golden pairs: every shape of answer in ``tests/data``, and beside it the records that it must become.

A new pair begins with the document; its records are written down with ``python tests/protocol/test_golden.py`` and
then read by a human against the protocol.
"""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from aioconnections.atom import Entry, Reader, write_entry
from aioconnections.protocol.entries import connection_from, invitation_from, kind_of
from aioconnections.protocol.people import profile_from
from aioconnections.records import Email, Key, Userid

DATA = Path(__file__).parent.parent / "data"
DOCUMENTS = sorted(DATA.glob("*.atom"))
BUILDERS: dict[str | None, Callable[[Entry], Any]] = {
    "connection": connection_from,
    "profile": profile_from,
    "invite": invitation_from,
}


def plain(value: Any) -> Any:
    """A record as JSON has it: fields that are at their default left out."""
    if isinstance(value, Email | Userid | Key):
        return f"{value.kind}:{value.value}"
    if isinstance(value, datetime):
        return value.isoformat()
    if attrs.has(type(value)):
        fields = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
        defaults = {field.name: field.default for field in attrs.fields(type(value))}
        return {name: plain(found) for name, found in fields.items() if found != defaults[name]}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def records(document: bytes, size: int) -> dict[str, Any]:
    reader = Reader()
    entries = [entry for at in range(0, len(document), size) for entry in reader.feed(document[at : at + size])]
    feed = reader.close()
    entries += feed.entries
    return {
        "feed": plain(attrs.evolve(feed, entries=())),
        "entries": [plain(entry) for entry in entries],
        "records": [plain(BUILDERS[kind_of(entry)](entry)) for entry in entries],
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.stem for path in DOCUMENTS])
def test_documents_become_their_records(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text("utf-8"))
    document = path.read_bytes()
    for size in (1, 100, len(document)):
        assert records(document, size) == expected


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.stem for path in DOCUMENTS])
def test_what_was_read_is_written_and_reads_the_same(path: Path) -> None:
    reader = Reader()
    entries = reader.feed(path.read_bytes())
    for entry in (*entries, *reader.close().entries):
        again = Reader()
        again.feed(write_entry(entry))
        assert again.close().entries == (entry,)


if __name__ == "__main__":
    for found in DOCUMENTS:
        text = json.dumps(records(found.read_bytes(), 1 << 20), indent=1, ensure_ascii=False)
        found.with_suffix(".json").write_text(f"{text}\n", "utf-8")
