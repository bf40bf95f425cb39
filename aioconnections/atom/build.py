"""Conversion of elements to entries and feeds.

Elements are recognised by namespace and local name only, never by prefix or order. The parser has dropped comments
and processing instructions and joined the text around them.

The entries of a feed are alike, so three caches save most of the work: the layout of an entry for each sequence of
child elements, people, and categories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar
from xml.etree.ElementTree import Element

from attrs import fields, fields_dict

from aioconnections.atom import constructs
from aioconnections.atom.constructs import Scope, scope_of
from aioconnections.atom.names import ATOM, CONNECTION_SOURCE, CONNECTION_TARGET, OPENSEARCH, SNX, SNX_REL
from aioconnections.atom.records import AtomPerson, Attributes, Category, ConnectionEnds, Entry, Feed

__all__ = ["Builder"]

K = TypeVar("K", str, int)
"""How a field is identified: by name or by position."""

_Convert: TypeAlias = Callable[[Element, Scope], Any]
_Fields: TypeAlias = dict[str, tuple[str, _Convert]]
"""Name and converter of the field for each tag."""
_Layout: TypeAlias = tuple[list[tuple[K, _Convert, int]], list[tuple[K, _Convert, list[int]]]]
"""Field, converter and index of the child; first for fields of one value, then for those of many."""
_PersonKey: TypeAlias = tuple[tuple[str, str | None], ...]

_NO_NAMES: frozenset[str] = frozenset()
_CONTRIBUTOR = f"{ATOM}contributor"
# In the order of the fields of `AtomPerson`.
_PERSON_TAGS = (
    f"{ATOM}name", f"{ATOM}email", f"{ATOM}uri", f"{SNX}userid", f"{SNX}userState", f"{SNX}isExternal",
)  # fmt: skip
_PERSON_POSITIONS = {tag: position for position, tag in enumerate(_PERSON_TAGS) if tag != f"{ATOM}uri"}
"""The fields that depend on their text alone; a URI depends on the base too."""
_EMPTY_PERSON: list[Any] = [None] * len(_PERSON_TAGS)
_MANY = frozenset({"authors", "contributors", "links", "categories", "extensions"})
_EMPTY_ENTRY: list[Any] = [field.default for field in fields(Entry)]
_ENTRY_POSITIONS = {name: position for position, name in enumerate(fields_dict(Entry))}
_ATTRIBUTES, _LANG, _BASE, _EXTENSIONS = (
    _ENTRY_POSITIONS[name] for name in ("attributes", "lang", "base", "extensions")
)
_MANY_POSITIONS = frozenset(_ENTRY_POSITIONS[name] for name in _MANY)

_CACHE_SIZE = 128
_MAX_CACHED_LENGTH = 1000

_tag_of = attrgetter("tag")
_tag_and_text_of = attrgetter("tag", "text")


class Builder:
    """Builds the records of one document."""

    def __init__(self) -> None:
        self._people: dict[_PersonKey, AtomPerson] = {}
        self._categories: dict[tuple[tuple[str, str], ...], Category] = {}
        self._leaf_cache: constructs.LeafCache = {}
        self._empty: Entry | None = None
        self._layouts: dict[tuple[str, ...], _Layout[int]] = {}
        common: _Fields = {
            f"{ATOM}id": ("id", constructs.stripped_text),
            f"{ATOM}title": ("title", constructs.text),
            f"{ATOM}updated": ("updated_text", constructs.stripped_text),
            f"{ATOM}rights": ("rights", constructs.text),
            f"{ATOM}author": ("authors", self._person),
            f"{ATOM}contributor": ("contributors", self._person),
            f"{ATOM}link": ("links", constructs.link),
            f"{ATOM}category": ("categories", self._category),
        }
        entry_fields: _Fields = {
            **common,
            f"{ATOM}published": ("published_text", constructs.stripped_text),
            f"{ATOM}summary": ("summary", constructs.text),
            f"{ATOM}content": ("content", constructs.content),
            f"{ATOM}source": ("source", self._source),
            f"{SNX}connection": ("connection", self._connection_ends),
        }
        self._entry_fields = {tag: (_ENTRY_POSITIONS[name], convert) for tag, (name, convert) in entry_fields.items()}
        self._feed_fields: _Fields = {
            **common,
            f"{ATOM}subtitle": ("subtitle", constructs.text),
            f"{ATOM}generator": ("generator", constructs.generator),
            f"{ATOM}icon": ("icon", constructs.reference),
            f"{ATOM}logo": ("logo", constructs.reference),
            f"{OPENSEARCH}totalResults": ("total_results", constructs.number),
            f"{OPENSEARCH}startIndex": ("start_index", constructs.number),
            f"{OPENSEARCH}itemsPerPage": ("items_per_page", constructs.number),
        }

    def entry(self, element: Element, scope: Scope) -> Entry:
        """Convert an ``<entry>``; `scope` is the scope around it."""
        children = list(element)
        has_attributes = bool(element.keys())
        if not children and not has_attributes:
            return self._empty_entry(scope)
        values = _EMPTY_ENTRY.copy()
        if has_attributes:
            scope = scope_of(element, scope)
            values[_ATTRIBUTES] = constructs.other_attributes(element)
        values[_LANG], values[_BASE], _ = scope
        tags = tuple(map(_tag_of, children))
        one, many = self._layouts.get(tags) or self._new_layout(tags)
        for position, convert, index in one:
            values[position] = convert(children[index], scope)
        for position, convert, indexes in many:
            if position == _EXTENSIONS:
                values[position] = constructs.extensions([children[index] for index in indexes], self._leaf_cache)
            else:
                values[position] = tuple([convert(children[index], scope) for index in indexes])
        return Entry(*values)

    def _empty_entry(self, scope: Scope) -> Entry:
        lang, base, _ = scope
        empty = self._empty
        if empty is None or empty.lang is not lang or empty.base is not base:
            empty = self._empty = Entry(lang=lang, base=base)
        return empty

    def feed(self, element: Element, children: list[Element], scope: Scope) -> Feed:
        """Convert a ``<feed>`` or ``<source>`` with these children; `scope` is the scope inside it."""
        one, many = _layout(map(_tag_of, children), self._feed_fields, _MANY, "extensions")
        values = {name: convert(children[index], scope) for name, convert, index in one}
        for name, convert, indexes in many:
            elements = [children[index] for index in indexes]
            if name == "extensions":
                values[name] = constructs.extensions(elements, self._leaf_cache)
            else:
                values[name] = tuple([convert(each, scope) for each in elements])
        attributes = constructs.other_attributes(element) if element.keys() else ()
        return Feed(**values, attributes=attributes, lang=scope[0], base=scope[1])

    def _new_layout(self, tags: tuple[str, ...]) -> _Layout[int]:
        layout = _layout(tags, self._entry_fields, _MANY_POSITIONS, _EXTENSIONS)
        if sum(map(len, tags)) < _MAX_CACHED_LENGTH * 2:
            _store(self._layouts, tags, layout)
        return layout

    def _person(self, element: Element, scope: Scope) -> AtomPerson:
        if element.keys():
            return constructs.person(element, scope, self._leaf_cache)
        key = tuple(map(_tag_and_text_of, element))
        return self._people.get(key) or self._new_person(key) or constructs.person(element, scope, self._leaf_cache)

    def _connection_end(self, element: Element, scope: Scope) -> AtomPerson:
        """Convert a person construct whose only attribute may be ``snx:rel``, which is dropped."""
        if len(element.keys()) > 1:
            return constructs.person(element, scope, self._leaf_cache, SNX_REL)
        key = tuple(map(_tag_and_text_of, element))
        return (
            self._people.get(key)
            or self._new_person(key)
            or constructs.person(element, scope, self._leaf_cache, SNX_REL)
        )

    def _new_person(self, key: _PersonKey) -> AtomPerson | None:
        """Build and cache a person from tags and texts alone; None if it has more than these."""
        values, length = _EMPTY_PERSON.copy(), 0
        for tag, text in key:
            position = _PERSON_POSITIONS.get(tag)
            if position is None or values[position] is not None:
                return None
            values[position] = stripped = text.strip() if text else ""
            length += len(stripped)
        person = AtomPerson(*values)
        if length < _MAX_CACHED_LENGTH:
            _store(self._people, key, person)
        return person

    def _category(self, element: Element, _: Scope) -> Category:
        key = tuple(element.items())
        return self._categories.get(key) or self._new_category(key, element)

    def _new_category(self, key: tuple[tuple[str, str], ...], element: Element) -> Category:
        category = constructs.category(element)
        if sum(len(name) + len(value) for name, value in key) < _MAX_CACHED_LENGTH:
            _store(self._categories, key, category)
        return category

    def _connection_ends(self, element: Element, scope: Scope) -> ConnectionEnds:
        """Convert ``snx:connection``, in which only ``snx:rel`` distinguishes source and target."""
        attributes: Attributes = ()
        if element.keys():
            attributes = constructs.other_attributes(element, _NO_NAMES)
            scope = scope_of(element, scope)
        source = target = None
        others: list[Element] = []
        for child in element:
            rel = child.get(SNX_REL, "").strip() if child.tag == _CONTRIBUTOR else ""
            if rel == CONNECTION_SOURCE and source is None:
                source = self._connection_end(child, scope)
            elif rel == CONNECTION_TARGET and target is None:
                target = self._connection_end(child, scope)
            else:
                others.append(child)
        return ConnectionEnds(source, target, constructs.extensions(others, self._leaf_cache), attributes)

    def _source(self, element: Element, scope: Scope) -> Feed:
        return self.feed(element, list(element), scope_of(element, scope))


def _store(cache: dict[Any, Any], key: Any, value: Any) -> None:
    if len(cache) >= _CACHE_SIZE:
        cache.clear()
    cache[key] = value


def _layout(
    tags: Iterable[str], fields_by_tag: Mapping[str, tuple[K, _Convert]], many_fields: frozenset[K], extensions: K
) -> _Layout[K]:
    """Assign children to fields; unknown children, and repeated ones of a field with one value, are extensions."""
    one: dict[K, tuple[K, _Convert, int]] = {}
    many: dict[K, tuple[K, _Convert, list[int]]] = {}
    others: list[int] = []
    for index, tag in enumerate(tags):
        known = fields_by_tag.get(tag)
        if known is None:
            others.append(index)
            continue
        field, convert = known
        if field in one:
            others.append(index)
        elif field in many:
            many[field][2].append(index)
        elif field in many_fields:
            many[field] = (field, convert, [index])
        else:
            one[field] = (field, convert, index)
    if others:
        many[extensions] = (extensions, constructs.stripped_text, others)
    return list(one.values()), list(many.values())
