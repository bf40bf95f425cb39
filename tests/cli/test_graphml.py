"""GraphML of a network: any text makes a valid document, which networkx reads back."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import networkx  # type: ignore[import-untyped] # it has no types
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.cli.graphml import graphml
from aioconnections.client.network import Member
from aioconnections.files.rows import RowPerson
from aioconnections.records import Edge, Email, Identity, Person, Status, Userid

HOSTILE = (
    "a]]><b/>&amp;&lt;\"'--><!--",
    '"/><node id="n9">',
    "<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>&y;",
    "Zoë Müller 佐藤 🙂\u200d",
    "\x85\u2028\u202egnp\u2066 \xa0",
    " a\tb\r\nc\rd\n ",
)


def member(index: int, name: str | None, row: Mapping[str, object] | None = None) -> Member:
    identity = Userid(f"u{index}")
    return Member(
        index=index,
        item=RowPerson(userid=identity, row=dict(row or {}), line=index + 2),
        identity=identity,
        person=Person(name=name, userid=identity),
        connections=None if name is None else 3,
        problem=None,
        same_as=None,
        is_recognizable=True,
    )


def document(members: list[Member], edges: list[Edge]) -> str:
    nodes: dict[Identity, Member] = {it.identity: it for it in members if it.identity is not None}
    return "".join(graphml(nodes, edges))


def read(text: str) -> Any:
    return networkx.read_graphml(io.BytesIO(text.encode()))


def legal(text: str) -> str:
    """The text with U+FFFD for what XML 1.0 cannot contain."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def test_an_undirected_graph_with_typed_attributes() -> None:
    at = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    edge = Edge(Userid("u0"), Userid("u1"), status=Status.ACCEPTED, updated=at, seen_from="one", disputed=True)
    graph = read(document([member(0, "Zoë"), member(1, None), member(2, "Bo")], [edge]))
    assert not graph.is_directed()
    assert not graph.is_multigraph()
    assert dict(graph.nodes(data=True)) == {
        "n0": {"label": "Zoë", "userid": "u0", "connections": 3},
        "n1": {"label": "u1", "userid": "u1"},
        "n2": {"label": "Bo", "userid": "u2", "connections": 3},
    }
    ((source, target, data),) = graph.edges(data=True)
    assert (source, target) == ("n0", "n1")
    assert data == {"status": "accepted", "updated": "2026-01-31T09:30:00+00:00", "seen_from": "one", "disputed": True}


def test_other_columns_of_the_input_are_attributes_of_the_node() -> None:
    rows: list[Mapping[str, object]] = [
        {"userid": "u0", "Köche & Co": "ä", "label": "not this", "email": "zoe@example.com", "": "no name"},
        {"userid": "u1", "tags": ["ä", 1], "level": 7, "left": None, "empty": ""},
    ]
    graph = read(document([member(index, f"N{index}", row) for index, row in enumerate(rows)], []))
    assert graph.nodes["n0"] == {
        "label": "N0",
        "userid": "u0",
        "email": "zoe@example.com",
        "connections": 3,
        "Köche & Co": "ä",
    }
    assert graph.nodes["n1"] == {"label": "N1", "userid": "u1", "connections": 3, "tags": '["ä", 1]', "level": "7"}


def test_hostile_names_change_nothing_but_the_label() -> None:
    members = [member(index, name, {"note": name, name: "x"}) for index, name in enumerate(HOSTILE)]
    text = document(members, [])
    assert text.replace("\n", "").isprintable()
    graph = read(text)
    assert [graph.nodes[f"n{index}"]["label"] for index in range(len(HOSTILE))] == [*HOSTILE]
    assert all(
        graph.nodes[f"n{index}"] | {"note": name, name: "x"} == graph.nodes[f"n{index}"]
        for index, name in enumerate(HOSTILE)
    )


@given(st.text(alphabet=st.characters(exclude_categories=()), min_size=1))
def test_any_text_makes_a_document_that_is_read_back(text: str) -> None:
    found = read(document([member(0, text, {"note": text, f"a{text}": "x"})], []))
    assert found.nodes["n0"]["label"] == legal(text)
    assert found.nodes["n0"]["note"] == legal(text)
    assert found.nodes["n0"][legal(f"a{text}")] == "x"


def test_people_without_a_name_are_labelled_by_their_identity() -> None:
    nameless = Member(
        index=0,
        item=Email("Zoe@example.com"),
        identity=Email("Zoe@example.com"),
        person=Person(email=Email("Zoe@example.com")),
        connections=None,
        problem=None,
        same_as=None,
        is_recognizable=True,
    )
    assert read(document([nameless], [])).nodes["n0"] == {"label": "Zoe@example.com", "email": "Zoe@example.com"}


def test_an_empty_group_is_an_empty_graph() -> None:
    assert len(read(document([], []))) == 0
