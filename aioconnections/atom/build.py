"""Elements to entries and feeds. By namespace and local name only, never by prefix or by the order of elements.

Comments and processing instructions never get here, and the text around them is whole.

Speed: the entries of a feed resemble each other. Which child of an entry is what is found out once for each sequence
of children that occurs; people and categories that come again are the records that were made before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar
from xml.etree.ElementTree import Element

from attrs import fields, fields_dict

from aioconnections.atom import constructs as make
from aioconnections.atom.constructs import Scope, scope_of
from aioconnections.atom.names import ATOM, OPENSEARCH, SNX
from aioconnections.atom.records import AtomPerson, Attributes, Category, ConnectionEnds, Entry, Feed

__all__ = ["Builder"]

K = TypeVar("K", str, int)

_Build: TypeAlias = Callable[[Element, Scope], Any]
_Plan: TypeAlias = dict[str, tuple[str, _Build]]
_Layout: TypeAlias = tuple[list[tuple[K, _Build, int]], list[tuple[K, _Build, list[int]]]]
"""Which field, by name or place, is built how from which child; and those that hold what is made of many."""
_PersonKey: TypeAlias = tuple[tuple[str, str | None], ...]

_SOURCE = "http://www.ibm.com/xmlns/prod/sn/connection/source"
_TARGET = "http://www.ibm.com/xmlns/prod/sn/connection/target"
_REL = f"{SNX}rel"
_NONE_KNOWN: frozenset[str] = frozenset()
_CONTRIBUTOR = f"{ATOM}contributor"
# In the order of the fields of `AtomPerson`.
_PERSON_FIELDS = (
    f"{ATOM}name", f"{ATOM}email", f"{ATOM}uri", f"{SNX}userid", f"{SNX}userState", f"{SNX}isExternal",
)  # fmt: skip
_PERSON_PLACES = {tag: at for at, tag in enumerate(_PERSON_FIELDS) if tag != f"{ATOM}uri"}
"""Those that are text and nothing else; what a uri means depends on its base."""
_NO_PERSON: list[Any] = [None] * len(_PERSON_FIELDS)
_MANY = frozenset({"authors", "contributors", "links", "categories", "extensions"})
_EMPTY_ENTRY: list[Any] = [field.default for field in fields(Entry)]
_ENTRY_PLACES = {name: at for at, name in enumerate(fields_dict(Entry))}
_ATTRIBUTES, _LANG, _BASE, _EXTENSIONS = (_ENTRY_PLACES[name] for name in ("attributes", "lang", "base", "extensions"))
_MANY_PLACES = frozenset(_ENTRY_PLACES[name] for name in _MANY)


_MOST_REMEMBERED = 128
_LONGEST_REMEMBERED = 1000

_tag_of = attrgetter("tag")
_tag_and_text_of = attrgetter("tag", "text")


class Builder:
    """Builds the records of one document, and remembers some of them."""

    def __init__(self) -> None:
        self._people: dict[_PersonKey, AtomPerson] = {}
        self._categories: dict[tuple[tuple[str, str], ...], Category] = {}
        self._leaves: make.Leaves = {}
        self._empty: Entry | None = None
        self._layouts: dict[tuple[str, ...], _Layout[int]] = {}
        common: _Plan = {
            f"{ATOM}id": ("id", make.plain),
            f"{ATOM}title": ("title", make.text),
            f"{ATOM}updated": ("updated_text", make.plain),
            f"{ATOM}rights": ("rights", make.text),
            f"{ATOM}author": ("authors", self._person),
            f"{ATOM}contributor": ("contributors", self._person),
            f"{ATOM}link": ("links", make.link),
            f"{ATOM}category": ("categories", self._category),
        }
        of_entry: _Plan = {
            **common,
            f"{ATOM}published": ("published_text", make.plain),
            f"{ATOM}summary": ("summary", make.text),
            f"{ATOM}content": ("content", make.content),
            f"{ATOM}source": ("source", self._source),
            f"{SNX}connection": ("connection", self._ends),
        }
        self._of_entry = {tag: (_ENTRY_PLACES[name], build) for tag, (name, build) in of_entry.items()}
        self._of_feed: _Plan = {
            **common,
            f"{ATOM}subtitle": ("subtitle", make.text),
            f"{ATOM}generator": ("generator", make.generator),
            f"{ATOM}icon": ("icon", make.reference),
            f"{ATOM}logo": ("logo", make.reference),
            f"{OPENSEARCH}totalResults": ("total_results", make.number),
            f"{OPENSEARCH}startIndex": ("start_index", make.number),
            f"{OPENSEARCH}itemsPerPage": ("items_per_page", make.number),
        }

    def entry(self, element: Element, scope: Scope) -> Entry:
        """An ``<entry>``; `scope` is that around it."""
        children = list(element)
        has_attributes = bool(element.keys())
        if not children and not has_attributes:
            return self._empty_entry(scope)
        values = _EMPTY_ENTRY.copy()
        if has_attributes:
            scope = scope_of(element, scope)
            values[_ATTRIBUTES] = make.rest(element)
        values[_LANG], values[_BASE], _ = scope
        tags = tuple(map(_tag_of, children))
        one, many = self._layouts.get(tags) or self._new_layout(tags)
        for place, build, at in one:
            values[place] = build(children[at], scope)
        for place, build, found in many:
            if place == _EXTENSIONS:
                values[place] = make.extensions([children[at] for at in found], self._leaves)
            else:
                values[place] = tuple([build(children[at], scope) for at in found])
        return Entry(*values)

    def _empty_entry(self, scope: Scope) -> Entry:
        lang, base, _ = scope
        empty = self._empty
        if empty is None or empty.lang is not lang or empty.base is not base:
            empty = self._empty = Entry(lang=lang, base=base)
        return empty

    def feed(self, element: Element, children: list[Element], scope: Scope) -> Feed:
        """A ``<feed>`` or ``<source>`` with these children; `scope` is that inside it."""
        one, many = _layout(map(_tag_of, children), self._of_feed, _MANY, "extensions")
        values = {name: build(children[at], scope) for name, build, at in one}
        for name, build, found in many:
            there = [children[at] for at in found]
            extensions = name == "extensions"
            values[name] = (
                make.extensions(there, self._leaves) if extensions else tuple([build(it, scope) for it in there])
            )
        attributes = make.rest(element) if element.keys() else ()
        return Feed(**values, attributes=attributes, lang=scope[0], base=scope[1])

    def _new_layout(self, tags: tuple[str, ...]) -> _Layout[int]:
        layout = _layout(tags, self._of_entry, _MANY_PLACES, _EXTENSIONS)
        if sum(map(len, tags)) < _LONGEST_REMEMBERED * 2:
            _remember(self._layouts, tags, layout)
        return layout

    def _person(self, element: Element, scope: Scope) -> AtomPerson:
        if element.keys():
            return make.person(element, scope, self._leaves)
        key = tuple(map(_tag_and_text_of, element))
        return self._people.get(key) or self._new_person(key) or make.person(element, scope, self._leaves)

    def _side(self, element: Element, scope: Scope) -> AtomPerson:
        """A person construct with ``snx:rel``, which is told by where it stands."""
        if len(element.keys()) > 1:
            return make.person(element, scope, self._leaves, _REL)
        key = tuple(map(_tag_and_text_of, element))
        return self._people.get(key) or self._new_person(key) or make.person(element, scope, self._leaves, _REL)

    def _new_person(self, key: _PersonKey) -> AtomPerson | None:
        """A person of names and texts alone, the only kind that may be remembered; None if it is of another kind."""
        values = _NO_PERSON.copy()
        for tag, text in key:
            place = _PERSON_PLACES.get(tag)
            if place is None or values[place] is not None:
                return None
            values[place] = text.strip() if text else ""
        person = AtomPerson(*values)
        if sum(map(len, filter(None, values))) < _LONGEST_REMEMBERED:
            _remember(self._people, key, person)
        return person

    def _category(self, element: Element, _: Scope) -> Category:
        key = tuple(element.items())
        return self._categories.get(key) or self._new_category(key, element)

    def _new_category(self, key: tuple[tuple[str, str], ...], element: Element) -> Category:
        category = make.category(element)
        if sum(len(name) + len(value) for name, value in key) < _LONGEST_REMEMBERED:
            _remember(self._categories, key, category)
        return category

    def _ends(self, element: Element, scope: Scope) -> ConnectionEnds:
        """Source and target by ``snx:rel`` alone (protocol: author and contributor say nothing of them)."""
        attributes: Attributes = ()
        if element.keys():
            attributes = make.rest(element, _NONE_KNOWN)
            scope = scope_of(element, scope)
        source = target = None
        others: list[Element] = []
        for child in element:
            rel = child.get(_REL, "").strip() if child.tag == _CONTRIBUTOR else ""
            if rel == _SOURCE and source is None:
                source = self._side(child, scope)
            elif rel == _TARGET and target is None:
                target = self._side(child, scope)
            else:
                others.append(child)
        return ConnectionEnds(source, target, make.extensions(others, self._leaves), attributes)

    def _source(self, element: Element, scope: Scope) -> Feed:
        return self.feed(element, list(element), scope_of(element, scope))


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> None:
    if len(memory) >= _MOST_REMEMBERED:
        memory.clear()
    memory[key] = value


def _layout(
    tags: Iterable[str], plan: Mapping[str, tuple[K, _Build]], many_of: frozenset[K], extensions: K
) -> _Layout[K]:
    """Which child goes into which field: of a field that holds one, the first; the others are extensions."""
    one: dict[K, tuple[K, _Build, int]] = {}
    many: dict[K, tuple[K, _Build, list[int]]] = {}
    others: list[int] = []
    for at, tag in enumerate(tags):
        planned = plan.get(tag)
        if planned is None:
            others.append(at)
            continue
        name, build = planned
        if name in one:
            others.append(at)
        elif name in many:
            many[name][2].append(at)
        elif name in many_of:
            many[name] = (name, build, [at])
        else:
            one[name] = (name, build, at)
    if others:
        many[extensions] = (extensions, make.plain, others)
    return list(one.values()), list(many.values())
