"""Elements to entries and feeds. By namespace and local name only, never by prefix or by the order of elements.

Comments and processing instructions never get here, and the text around them is whole.

Speed: the entries of a feed resemble each other. Which child of an entry is what is found out once for each sequence
of children that occurs; people and categories that come again are the records that were made before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element

from aioconnections.atom import constructs as make
from aioconnections.atom.constructs import Scope, scope_of
from aioconnections.atom.names import ATOM, OPENSEARCH, SNX
from aioconnections.atom.records import AtomPerson, Category, ConnectionEnds, Entry, Feed, XmlElement

__all__ = ["Builder"]

_Build: TypeAlias = Callable[[Element, Scope], Any]
_Plan: TypeAlias = dict[str, tuple[str, _Build]]
_Layout: TypeAlias = tuple[list[tuple[str, _Build, int]], list[tuple[str, _Build, list[int]]]]
_Picker: TypeAlias = Callable[[list[Any]], tuple[Any, ...]]
_PersonKey: TypeAlias = tuple[tuple[str, ...], tuple[str | None, ...]]

_SOURCE = "http://www.ibm.com/xmlns/prod/sn/connection/source"
_TARGET = "http://www.ibm.com/xmlns/prod/sn/connection/target"
_SIDES = frozenset({_SOURCE, _TARGET})
_REL = f"{SNX}rel"
_CONTRIBUTOR = f"{ATOM}contributor"
# In the order of the fields of `AtomPerson`.
_PERSON_FIELDS = (
    f"{ATOM}name", f"{ATOM}email", f"{ATOM}uri", f"{SNX}userid", f"{SNX}userState", f"{SNX}isExternal",
)  # fmt: skip
_PLAIN_PERSON = frozenset(_PERSON_FIELDS) - {f"{ATOM}uri"}
"""Those that are text and nothing else; what a uri means depends on its base."""
_MANY = frozenset({"authors", "contributors", "links", "categories", "extensions"})

_MOST_REMEMBERED = 512
_LONGEST_REMEMBERED = 1000


_tag_of = attrgetter("tag")
_text_of = attrgetter("text")


class Builder:
    """Builds the records of one document, and remembers some of them."""

    def __init__(self) -> None:
        self._people: dict[_PersonKey, AtomPerson] = {}
        self._pickers: dict[tuple[str, ...], _Picker] = {}
        self._categories: dict[tuple[tuple[str, str], ...], Category] = {}
        self._layouts: dict[tuple[str, ...], _Layout] = {}
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
        self._of_entry: _Plan = {
            **common,
            f"{ATOM}published": ("published_text", make.plain),
            f"{ATOM}summary": ("summary", make.text),
            f"{ATOM}content": ("content", make.content),
            f"{ATOM}source": ("source", self._source),
            f"{SNX}connection": ("connection", self._ends),
        }
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
        fields: dict[str, Any] = {}
        if element.keys():
            scope = scope_of(element, scope)
            fields["attributes"] = make.rest(element)
        children = list(element)
        tags = tuple(map(_tag_of, children))
        one, many = self._layouts.get(tags) or self._new_layout(tags)
        for name, build, at in one:
            fields[name] = build(children[at], scope)
        for name, build, places in many:
            fields[name] = tuple([build(children[at], scope) for at in places])
        return Entry(**fields, lang=scope[0], base=scope[1])

    def feed(self, element: Element, children: list[Element], scope: Scope) -> Feed:
        """A ``<feed>`` or ``<source>`` with these children; `scope` is that inside it."""
        one, many = _layout(map(_tag_of, children), self._of_feed)
        fields = {name: build(children[at], scope) for name, build, at in one}
        fields |= {name: tuple([build(children[at], scope) for at in places]) for name, build, places in many}
        return Feed(**fields, attributes=make.rest(element), lang=scope[0], base=scope[1])

    def _new_layout(self, tags: tuple[str, ...]) -> _Layout:
        layout = _layout(tags, self._of_entry)
        if sum(map(len, tags)) < _LONGEST_REMEMBERED * 2:
            _remember(self._layouts, tags, layout)
        return layout

    def _person(self, element: Element, scope: Scope) -> AtomPerson:
        return make.person(element, scope) if element.keys() else self._bare_person(element, scope)

    def _side(self, element: Element, scope: Scope) -> AtomPerson:
        """A person construct with ``snx:rel``, which is told by where it stands."""
        return make.person(element, scope, _REL) if len(element.keys()) > 1 else self._bare_person(element, scope)

    def _bare_person(self, element: Element, scope: Scope) -> AtomPerson:
        """A person construct without attributes that matter."""
        key = (tuple(map(_tag_of, element)), tuple(map(_text_of, element)))
        return self._people.get(key) or self._new_person(key) or make.person(element, scope, _REL)

    def _new_person(self, key: _PersonKey) -> AtomPerson | None:
        """Only what depends on nothing but names and texts of the children may be remembered."""
        tags, texts = key
        pick = self._pickers.get(tags) or self._new_picker(tags)
        if pick is None:
            return None
        values: list[Any] = [text.strip() if text else "" for text in texts]
        values.append(None)
        person = AtomPerson(*pick(values))
        if len("".join(values[:-1])) < _LONGEST_REMEMBERED:
            _remember(self._people, key, person)
        return person

    def _new_picker(self, tags: tuple[str, ...]) -> _Picker | None:
        """What puts the texts of children with these names in the order of the fields of `AtomPerson`."""
        if len(set(tags)) < len(tags) or not _PLAIN_PERSON.issuperset(tags):
            return None
        # What is not there is taken from the end, where None stands.
        pick = itemgetter(*(tags.index(tag) if tag in tags else -1 for tag in _PERSON_FIELDS))
        self._pickers[tags] = pick
        return pick

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
        attributes = make.rest(element) if element.keys() else ()
        if element.keys():
            scope = scope_of(element, scope)
        sides: dict[str, AtomPerson] = {}
        extensions: list[XmlElement] = []
        for child in element:
            rel = child.get(_REL, "").strip()
            if rel in _SIDES and rel not in sides and child.tag == _CONTRIBUTOR:
                sides[rel] = self._side(child, scope)
            else:
                extensions.append(make.extension(child))
        return ConnectionEnds(sides.get(_SOURCE), sides.get(_TARGET), tuple(extensions), attributes)

    def _source(self, element: Element, scope: Scope) -> Feed:
        return self.feed(element, list(element), scope_of(element, scope))


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> None:
    if len(memory) >= _MOST_REMEMBERED:
        memory.clear()
    memory[key] = value


def _extension(element: Element, _: Scope) -> Any:
    return make.extension(element)


def _layout(tags: Iterable[str], plan: _Plan) -> _Layout:
    """Which child goes into which field: of a field that holds one, the first."""
    one: dict[str, tuple[str, _Build, int]] = {}
    many: dict[tuple[str, _Build], list[int]] = {}
    for at, tag in enumerate(tags):
        name, build = plan.get(tag, ("extensions", _extension))
        if name in _MANY:
            many.setdefault((name, build), []).append(at)
        else:
            one.setdefault(name, (name, build, at))
    return list(one.values()), [(name, build, places) for (name, build), places in many.items()]
