"""Entries in the form of an earlier one, read without the XML parser.

The entries that a server writes differ in a few texts only. `template_of` divides an entry that the parser has read
into fixed markup and variable texts: those of elements without children, the ``href`` of links and the ``term`` of
categories. To find the fields that depend on each, the entry is read a second time with a marker in place of each text.

A template reads an entry only if the parser would certainly build the same record, that is, if

- the fixed markup is equal, character by character, including namespaces, languages and bases;
- each variable text is printable, without markup, references and surrounding white space;
- each href is absolute.

There is no template for an entry in which such a text is converted instead of copied (markup, base64, relative
references), nor if the template does not reproduce the record of the entry from which it was made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias, cast

from attrs import fields, frozen, has

from aioconnections.atom.records import AtomPerson, Content, Entry, Text
from aioconnections.atom.references import WEB_SCHEMES

__all__ = ["Template", "Templates", "TemplatesByRoot", "template_of"]

_MARK = "\uf8ff"  # a character for private use; there is no template for an entry that holds it
_COPIED = frozenset({"text", "html"})
_MOST_KINDS = 4
_MOST_PARTS = 128  # bounds the time to make a template; entries of real feeds have about 50
# Cached people: few and short, because there may be twenty in an entry.
_CACHE_SIZE = 16
_MAX_CACHED_LENGTH = 256
_SPACE = r"[ \t\r\n]*+"
_HREF, _TERM = 'href="', 'term="'

_Maker: TypeAlias = Callable[[Sequence[str]], Any]
"""Makes a value from the variable texts."""


@frozen
class _Variable:
    """A variable text.

    Attributes:
        index: index of the part of the entry, between one ``<`` and the next.
        before: fixed beginning of the part.
        after: fixed end of the part; empty for the text of an element.
    """

    index: int
    before: str
    after: str = ""

    @property
    def is_href(self) -> bool:
        return bool(self.after) and self.before.endswith(_HREF)

    @property
    def pattern(self) -> str:
        return '[^<"]*+' if self.after else "[^<]*+"


class Template:
    """Reads entries that differ in variable texts only; made by `template_of`."""

    def __init__(self, parts: Sequence[str], variables: Sequence[_Variable], make: _Maker) -> None:
        patterns = [re.escape(part) for part in parts]
        for each in variables:
            patterns[each.index] = f"{re.escape(each.before)}({each.pattern}){re.escape(each.after)}"
        self._match = re.compile(_SPACE + "<".join(patterns)).match
        self._texts = [number for number, each in enumerate(variables) if not each.after]
        self._attributes = [number for number, each in enumerate(variables) if each.after]
        self._hrefs = [number for number, each in enumerate(variables) if each.is_href]
        self._make = make

    def read(self, document: str, at: int) -> tuple[Entry, int] | None:
        """Read the entry that begins at a position of the document, or after white space.

        Returns:
            the record and the end of the entry; None if there is no entry of this form.
        """
        match = self._match(document, at)
        if match is None:
            return None
        values: Sequence[str] = match.groups()
        texts = "<".join([values[number] for number in self._texts])
        attributes = "<".join([values[number] for number in self._attributes])
        if "&" in texts or not _is_copied(texts) or not _is_copied(attributes):
            return None
        if "&" in attributes:
            if "&" in attributes.replace("&amp;", ""):
                return None
            values = list(values)
            for number in self._attributes:
                values[number] = values[number].replace("&amp;", "&")
        for number in self._hrefs:
            if not values[number].startswith(WEB_SCHEMES):
                return None
        record: Entry = self._make(values)
        return record, match.end()


TemplatesByRoot: TypeAlias = dict[bytes, list[Template]]
"""Templates by the start tag of the root, which declares namespaces, language and base."""


class Templates:
    """What readers have learnt about the form of entries; share one between the readers of similar documents.

    It holds the markup of entries, and the latest people. Only the templates of the latest four kinds of documents are
    kept.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[str | None, frozenset[str] | None], TemplatesByRoot] = {}

    def of(self, base: str | None, fields: frozenset[str] | None) -> TemplatesByRoot:
        """The templates for readers with this base and these fields."""
        found = self._kinds.pop((base, fields), {})
        while len(self._kinds) >= _MOST_KINDS:
            del self._kinds[next(iter(self._kinds))]
        while len(found) >= _MOST_KINDS:
            del found[next(iter(found))]
        self._kinds[base, fields] = found
        return found


def _is_copied(joined: str) -> bool:
    """Whether the parser copies each of the texts that are joined by ``<``, apart from references."""
    return (
        joined.isprintable()  # no control characters, and no white space except spaces
        and ">" not in joined
        and " <" not in joined
        and "< " not in joined
        and not joined.startswith(" ")
        and not joined.endswith(" ")
    )


def template_of(
    entry: str, record: Entry, read_again: Callable[[str], Entry | None], reduced: Callable[[Entry], Entry]
) -> Template | None:
    """A template for entries in the form of `entry`, or None if there is none.

    Args:
        entry: an entry that the parser has read, from ``<entry`` to ``</entry>``.
        record: its record.
        read_again: reads another entry in the same place; None if it cannot be read, or has relative references.
        reduced: reduces a record to the fields that the template has to read.
    """
    parts = entry.split("<")
    if len(parts) > _MOST_PARTS or "<!" in entry or "<?" in entry or _MARK in entry:
        return None
    markers = {_marker(number, each): each for number, each in enumerate(_variables(parts))}
    marked = parts.copy()
    for marker, each in markers.items():
        marked[each.index] = each.before + marker + each.after
    probe = read_again("<".join(marked))
    if probe is None:
        return None
    strings = set(_strings(probe))
    used = [marker for marker in markers if marker in strings]  # other texts are in no field, so they must be equal
    if any(_MARK in string for string in strings.difference(used)):
        return None
    make = _maker(reduced(probe), {marker: number for number, marker in enumerate(used)})
    if not callable(make):
        return None
    template = Template(parts, [markers[marker] for marker in used], make)
    return template if template.read(entry, 0) == (reduced(record), len(entry)) else None


def _variables(parts: Sequence[str]) -> Iterator[_Variable]:
    """The texts that may differ, in document order."""
    for index, part in enumerate(parts[:-1]):
        tag, end, _ = part.partition(">")
        name, _, _ = tag.partition(" ")
        attribute = {"link": _HREF, "category": _TERM}.get(name)
        found = -1 if attribute is None else tag.find(f" {attribute}")
        if attribute is not None and found >= 0:
            begin = found + 1 + len(attribute)
            yield _Variable(index, part[:begin], part[part.find('"', begin) :])
        elif end and not tag.endswith("/") and parts[index + 1].startswith(f"/{name}"):
            yield _Variable(index, tag + end)


def _marker(number: int, variable: _Variable) -> str:
    marker = f"{_MARK}{number}{_MARK}"
    return f"{WEB_SCHEMES[0]}{marker}/" if variable.is_href else marker


def _strings(value: object) -> Iterator[str]:
    """The strings in a record; those that were not copied from the document include the mark in another form."""
    if isinstance(value, str):
        yield value
        return
    is_converted = isinstance(value, Text | Content) and value.type not in _COPIED
    for part in _parts(value) or ():
        yield from (f"{string} (converted)" if is_converted else string for string in _strings(part))


def _parts(value: object) -> Sequence[object] | None:
    """The elements of a tuple, or the fields of a record in their order; None for anything else."""
    if isinstance(value, tuple):
        return cast("tuple[object, ...]", value)
    kind = type(value)
    return [getattr(value, field.name) for field in fields(kind)] if has(kind) else None


def _maker(value: object, markers: Mapping[str, int]) -> int | _Maker | None:
    """How to make a value: the number of a text, a function of all texts, or None for a fixed value."""
    if isinstance(value, str):
        return markers.get(value)
    parts = _parts(value)
    makers = [_maker(each, markers) for each in parts or ()]
    if parts is None or makers.count(None) == len(makers):
        return None
    return _tuple_maker(parts, makers) if isinstance(value, tuple) else _record_maker(type(value), parts, makers)


def _tuple_maker(values: Sequence[object], makers: list[int | _Maker | None]) -> _Maker:
    functions = [_function(value, maker) for value, maker in zip(values, makers, strict=True)]
    if len(functions) == 1:
        (only,) = functions
        return lambda texts: (only(texts),)
    return lambda texts: tuple([function(texts) for function in functions])


def _function(value: object, maker: int | _Maker | None) -> _Maker:
    if isinstance(maker, int):
        return itemgetter(maker)
    return maker or (lambda _: value)


def _record_maker(kind: Callable[..., Any], values: Sequence[object], makers: list[int | _Maker | None]) -> _Maker:
    copied = [(position, maker) for position, maker in enumerate(makers) if isinstance(maker, int)]
    made = [(position, maker) for position, maker in enumerate(makers) if callable(maker)]
    if len(copied) == 1 and not made:
        ((position, number),) = copied
        before, after = values[:position], values[position + 1 :]
        return lambda texts: kind(*before, texts[number], *after)

    def make(texts: Sequence[str]) -> Any:
        result = [*values]
        for position, number in copied:
            result[position] = texts[number]
        for position, maker in made:
            result[position] = maker(texts)
        return kind(*result)

    return make if made or kind is not AtomPerson else _cached(make, itemgetter(*(number for _, number in copied)))


def _cached(make: _Maker, key_of: Callable[[Sequence[str]], Any]) -> _Maker:
    """Cache the last people: the same person is in every entry of a feed."""
    cache: dict[Any, Any] = {}
    get = cache.get

    def make_once(texts: Sequence[str]) -> Any:
        key = key_of(texts)
        found = get(key)
        if found is None:
            if len(cache) >= _CACHE_SIZE:
                cache.clear()
            found = make(texts)
            if sum(map(len, key)) <= _MAX_CACHED_LENGTH:
                cache[key] = found
        return found

    return make_once
