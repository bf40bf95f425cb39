"""Manifests of parts: written, read again, compared, and refused if they are damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.cluster import Shard
from aioconnections.cluster.part_manifests import Digest, Layout, PartManifest, manifest_of
from aioconnections.errors import InvalidInputError

LAYOUT = Layout("csv", ("input_row", "Größe", "status"), ("status", "error"), delimiter=";", line_end="\r\n")
MANIFEST = PartManifest(
    shard=Shard(3, of=16),
    rows=60,
    input_rows=1_000,
    digest="00ff",
    omitted=0,
    complete=True,
    server="https://connections.example.com",
    layout=LAYOUT,
    version="0.1.0",
)
DAMAGED = "this is not the manifest of a shard, or it is damaged"


def read(path: Path, content: object) -> PartManifest:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return PartManifest.read(path)


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = manifest_of(tmp_path / "part-3.csv")
    assert path.name == "part-3.csv.shard.json"
    assert MANIFEST.as_json().isascii()
    assert read(path, MANIFEST.as_json()) == MANIFEST
    assert json.loads(MANIFEST.as_json())["shard"] == 3


NO_TEXT: list[object] = [None, True, 1, [], {}]
NO_FLAG: list[object] = [None, 0, 1, "true", []]
NO_COUNT: list[object] = [None, True, -1, 1.5, "1", []]
NO_TEXTS: list[object] = [None, 1, "abc", {"a": 1}, [1], [None]]
WRONG: dict[str, list[object]] = {
    "shard": [*NO_COUNT, 0, 17],
    "of": [*NO_COUNT, 0, 2],
    "rows": NO_COUNT,
    "input_rows": NO_COUNT,
    "digest": NO_TEXT,
    "omitted": NO_COUNT,
    "complete": NO_FLAG,
    "server": NO_TEXT,
    "version": NO_TEXT,
    "layout": [None, [], "csv", {}],
    "layout.format": [*NO_TEXT, "xlsx"],
    "layout.columns": NO_TEXTS,
    "layout.added": [*NO_TEXTS, []],
    "layout.encoding": [*NO_TEXT, "rot13"],
    "layout.marked": NO_FLAG,
    "layout.delimiter": [*NO_TEXT, "", ";;"],
    "layout.line_end": NO_TEXT,
    "layout.declaration": NO_TEXT,
    "layout.excel_safe": NO_FLAG,
}


@pytest.mark.parametrize("where", WRONG)
def test_a_damaged_manifest_is_refused(tmp_path: Path, where: str) -> None:
    outer, _, inner = where.partition(".")
    content: dict[str, Any] = json.loads(MANIFEST.as_json())
    place = content[outer] if inner else content
    for value in WRONG[where]:
        place[inner or outer] = value
        with pytest.raises(InvalidInputError, match=DAMAGED):
            read(tmp_path / "m", content)
    del place[inner or outer]
    with pytest.raises(InvalidInputError, match=DAMAGED):
        read(tmp_path / "m", content)


def test_every_field_is_checked() -> None:
    content = json.loads(MANIFEST.as_json())
    assert {*WRONG} == {*content} - {"manifest"} | {f"layout.{name}" for name in content["layout"]}


@pytest.mark.parametrize("content", ["", "[]", "1", "{", "[" * 100_000, '{"manifest": 1}', "null", "\ud800"], ids=str)
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "m").write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(InvalidInputError, match=DAMAGED):
        PartManifest.read(tmp_path / "m")


def test_a_manifest_of_a_later_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="the manifest has version 2; use a later version of aioconnections"):
        read(tmp_path / "m", {"manifest": 2})


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (evolve(MANIFEST, shard=Shard(4, of=16), rows=1, omitted=1, complete=False, version="9"), None),
        (evolve(MANIFEST, shard=Shard(3, of=8)), "it is one of 8 shards, not of 16"),
        (evolve(MANIFEST, input_rows=1_001), "its input has 1,001 rows, not 1,000"),
        (evolve(MANIFEST, digest="00fe"), "its input has other rows or another order, or was read with other options"),
        (
            evolve(MANIFEST, server="http://test"),
            "its server is http://test, not https://connections.example.com",
        ),
        (
            evolve(MANIFEST, layout=evolve(LAYOUT, excel_safe=True)),
            "it has another form (excel safe): True, not False",
        ),
    ],
)
def test_what_prevents_parts_from_being_merged(other: PartManifest, difference: str | None) -> None:
    assert other.difference(MANIFEST) == difference


def digest(*rows: object) -> str:
    found = Digest()
    for row in rows:
        found.add(row)
    return found.value


def test_digests_never_change() -> None:
    """Machines with different versions of Python process shards of one input."""
    row = {"source_userid": "ä\x00\udc80\u2028'\"😀", "n": 1.5, "list": [None, True, {"a": 10**20}]}
    assert digest(row, ("x", 1)) == "24b7894ca4e2e260aa0d7c3da7597f44"


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_other_rows_have_another_digest(some: list[str], others: list[str]) -> None:
    assert (digest(*some) == digest(*others)) is (some == others)
