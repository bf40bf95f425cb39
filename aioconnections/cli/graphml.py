"""GraphML: a network as an XML document, for Gephi, networkx and other programs that draw or measure networks.

Format: http://graphml.graphdrawing.org. Names are text of other people, so any text becomes valid XML 1.0: characters
that XML cannot contain become U+FFFD, and those that do not print become character references.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import cast
from xml.sax.saxutils import escape

from aioconnections.cli.record_rows import cell
from aioconnections.client.network import Member
from aioconnections.records import Edge, Identity

__all__ = ["graphml"]

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
"""
_NODE = {"label": "string", "userid": "string", "key": "string", "email": "string", "connections": "int"}
_EDGE = {"status": "string", "updated": "string", "seen_from": "string", "disputed": "boolean"}


def graphml(nodes: Mapping[Identity, Member], edges: Iterable[Edge]) -> Iterator[str]:
    """The parts of a document of an undirected graph.

    Each node has the name of its member as the label, the identities that the lists or else the input give, the length
    of the member's list, and the other columns of the input as text.

    Args:
        nodes: the members by the identities that `edges` name.
        edges: the edges.
    """
    yield _HEAD
    columns = _columns(nodes.values())
    for name, kind in _NODE.items():
        yield _key(name, "node", name, kind)
    for name, key in columns.items():
        yield _key(key, "node", name, "string")
    for name, kind in _EDGE.items():
        yield _key(name, "edge", name, kind)
    yield '  <graph edgedefault="undirected">\n'
    for identity, member in nodes.items():
        person, row = member.person, _row(member)
        values: dict[str, object] = {
            "label": person.name or identity,
            "userid": person.userid or _cell(row.get("userid")),
            "key": person.key or _cell(row.get("key")),
            "email": person.email or _cell(row.get("email")),
            "connections": member.connections,
            **{key: _cell(row.get(name)) for name, key in columns.items()},
        }
        yield f'    <node id="n{member.index}">{_data(values)}</node>\n'
    for edge in edges:
        source, target = nodes[edge.source].index, nodes[edge.target].index
        values = {
            "status": edge.status,
            "updated": edge.updated,
            "seen_from": edge.seen_from,
            "disputed": "true" if edge.disputed else "false",
        }
        yield f'    <edge source="n{source}" target="n{target}">{_data(values)}</edge>\n'
    yield "  </graph>\n</graphml>\n"


def _columns(members: Iterable[Member]) -> dict[str, str]:
    """The keys of the columns of the input, by their names."""
    names = dict.fromkeys(name for member in members for name in _row(member) if name and name not in _NODE)
    return {name: f"column{number}" for number, name in enumerate(names, 1)}


def _row(member: Member) -> dict[str, object]:
    """The row of the input that names the member."""
    return cast("dict[str, object]", getattr(member.item, "row", {}))


def _cell(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return json.dumps(value, ensure_ascii=False)  # of JSON lines


def _key(key: str, what: str, name: str, kind: str) -> str:
    return f'  <key id="{key}" for="{what}" attr.name="{_text(name)}" attr.type="{kind}"/>\n'


def _data(values: Mapping[str, object]) -> str:
    texts = {key: cell(value) for key, value in values.items()}
    return "".join(f'<data key="{key}">{_text(text)}</data>' for key, text in texts.items() if text is not None)


def _text(text: str) -> str:
    """The text as the content of an element or of an attribute."""
    text = escape(text, {'"': "&quot;"})
    return text if text.isprintable() else "".join(map(_character, text))


def _character(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    is_allowed = code in {0x9, 0xA, 0xD} or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code >= 0x10000
    return f"&#{code};" if is_allowed else "\N{REPLACEMENT CHARACTER}"
