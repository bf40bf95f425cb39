"""Properties of the reader and the writer, tested with random documents."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioconnections.atom import (
    AtomPerson,
    Category,
    ConnectionEnds,
    Content,
    Entry,
    Feed,
    Generator,
    Link,
    Reader,
    Text,
    XmlElement,
    write_entry,
)
from aioconnections.errors import AtomError, InvalidInputError

ATOM = "http://www.w3.org/2005/Atom"
SNX = "http://www.ibm.com/xmlns/prod/sn"
OTHER = "urn:example:other"

# Few texts, one of each difficult kind: the examples should vary in structure.
LAW = settings(max_examples=settings().max_examples // 4, deadline=None)
texts = st.sampled_from(["", "a", " b\n", "<&>]]>", "\"'", "é😀", "\t\r\n", "&amp;", "\u2028\x85", "true"])
stripped = texts.map(str.strip)
names = st.sampled_from(["x", "é-1", "entry", "title", "name"])
spaces = st.sampled_from(["", f"{{{ATOM}}}", f"{{{SNX}}}", f"{{{OTHER}}}"])
tags = st.tuples(spaces, names).map("".join)
attributes = st.dictionaries(
    st.tuples(st.sampled_from([f"{{{SNX}}}", f"{{{OTHER}}}"]), names).map("".join), texts, max_size=2
).map(lambda found: tuple(sorted(found.items())))


def elements(
    children: st.SearchStrategy[tuple[XmlElement, ...]], tail: st.SearchStrategy[str]
) -> st.SearchStrategy[XmlElement]:
    return st.builds(XmlElement, tags, attributes, texts, children, tail)


inner = st.recursive(
    elements(st.just(()), texts),
    lambda below: elements(st.lists(below, max_size=2).map(tuple), texts),
    max_leaves=4,
)
extensions = st.lists(
    st.builds(
        XmlElement,
        st.tuples(st.sampled_from([f"{{{SNX}}}", f"{{{OTHER}}}"]), names).map("".join),
        attributes,
        texts,
        st.lists(inner, max_size=2).map(tuple),
    ),
    max_size=2,
).map(tuple)
optional = st.none() | stripped
langs = st.none() | st.sampled_from(["en", "de-AT"])
bases = st.none() | st.sampled_from(["https://example.com/a/", "urn:x:y", "relative/"])
hrefs = st.sampled_from(["https://example.com/?a=1&b=2", "mailto:a@example.com", "urn:x"])
markups = st.sampled_from(
    ["", "plain &amp; simple", '<b>bold</b> <i class="a">x</i>', '<b title="&lt;&quot;"/>', "<br/>tail"]
)
plain_texts = st.tuples(texts, st.sampled_from(["text", "html"]))
inline = plain_texts | st.tuples(markups, st.just("xhtml"))


@st.composite
def text_constructs(draw: st.DrawFn, lang: str | None, base: str | None) -> Text:
    value, kind = draw(inline)
    own_lang = draw(st.sampled_from([lang, "fr"]))
    own_base = draw(st.sampled_from([base, "https://example.com/own/"]))
    return Text(value, kind, own_lang, own_base, draw(attributes))


@st.composite
def contents(draw: st.DrawFn, lang: str | None, base: str | None) -> Content:
    value, kind = draw(
        inline
        | st.tuples(st.binary(max_size=9), st.just("image/png"))
        | st.tuples(texts, st.just("text/plain"))
        | st.tuples(
            st.sampled_from(["", "<x/>", '<ns0:y xmlns:ns0="urn:y" ns0:a="b">t</ns0:y>']), st.just("application/x+xml")
        )
    )
    return Content(value, kind, draw(st.none() | hrefs), draw(st.sampled_from([lang, "fr"])), base, draw(attributes))


people = st.builds(
    AtomPerson, optional, optional, st.none() | hrefs, optional, optional, optional, extensions, attributes
)
links = st.builds(Link, hrefs, texts, *[st.none() | texts] * 3, st.none() | st.integers(0, 10**12), attributes)
categories = st.builds(Category, texts, st.none() | texts, st.none() | texts, attributes)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    lang, base = draw(langs), draw(bases)
    text = text_constructs(lang, base)
    return Entry(
        id=draw(optional),
        title=draw(st.none() | text),
        updated_text=draw(optional),
        published_text=draw(optional),
        summary=draw(st.none() | text),
        content=draw(st.none() | contents(lang, base)),
        rights=draw(st.none() | text),
        authors=tuple(draw(st.lists(people, max_size=2))),
        contributors=tuple(draw(st.lists(people, max_size=2))),
        links=tuple(draw(st.lists(links, max_size=2))),
        categories=tuple(draw(st.lists(categories, max_size=2))),
        source=draw(st.none() | sources(lang, base)),
        connection=draw(
            st.none() | st.builds(ConnectionEnds, st.none() | people, st.none() | people, extensions, attributes)
        ),
        extensions=draw(extensions),
        lang=lang,
        base=base,
        attributes=draw(attributes),
    )


@st.composite
def sources(draw: st.DrawFn, lang: str | None, base: str | None) -> Feed:
    text = st.none() | text_constructs(lang, base)
    return Feed(
        id=draw(optional),
        title=draw(text),
        subtitle=draw(text),
        rights=draw(text),
        updated_text=draw(optional),
        generator=draw(st.none() | st.builds(Generator, stripped, st.none() | hrefs, st.none() | texts)),
        icon=draw(st.none() | hrefs),
        logo=draw(st.none() | hrefs),
        authors=tuple(draw(st.lists(people, max_size=1))),
        links=tuple(draw(st.lists(links, max_size=1))),
        total_results=draw(st.none() | st.integers(0, 999)),
        start_index=draw(st.none() | st.integers(0, 999)),
        items_per_page=draw(st.none() | st.integers(0, 999)),
        extensions=draw(extensions),
        lang=lang,
        base=base,
        attributes=draw(attributes),
    )


def read(document: bytes, cuts: list[int] | None = None) -> tuple[list[Entry], Feed | tuple[object, ...]]:
    reader = Reader()
    edges = [0, *sorted(cut % (len(document) + 1) for cut in cuts or ()), len(document)]
    found: list[Entry] = []
    try:
        for start, end in pairwise(edges):
            found += reader.feed(document[start:end])
        feed = reader.close()
    except AtomError as error:
        return found, (error.reason, error.line, error.column, error.element)
    return [*found, *feed.entries], feed if feed.id else Feed()


def same(found: object, wanted: object) -> None:
    """Assert equality without the slow comparison that pytest would print."""
    if found != wanted:
        pytest.fail(f"{found!r}\nis not\n{wanted!r}")


def feed_of(found: list[Entry]) -> str:
    inside = "".join(write_entry(entry).decode().partition("?>")[2] for entry in found)
    return f'<f:feed xmlns:f="{ATOM}"><f:id>i</f:id>{inside}</f:feed>'


documents = st.lists(entries(), max_size=3).map(feed_of)
TOKEN = re.compile(r"<[^>]*>|[^<&]|&[^;]*;")


@LAW
@given(entries())
def test_what_is_written_reads_back(entry: Entry) -> None:
    document = write_entry(entry)
    same(read(document)[0], [entry])
    again = ET.fromstring(document)  # noqa: S314 # our own document, read by another parser
    assert [link.get("href") for link in again.findall(f"{{{ATOM}}}link")] == [link.href for link in entry.links]
    terms = [category.get("term") for category in again.findall(f"{{{ATOM}}}category")]
    assert terms == [category.term for category in entry.categories]
    if entry.title is not None and entry.title.type != "xhtml":
        assert again.findtext(f"{{{ATOM}}}title") == entry.title.value


@pytest.mark.slow
@LAW
@given(documents, st.lists(st.integers(0, 1 << 16), max_size=8))
def test_cuts_make_no_difference(document: str, cuts: list[int]) -> None:
    data = document.encode()
    same(read(data, cuts), read(data))
    same(read(data, list(range(len(data)))), read(data))


@LAW
@given(documents, st.data())
def test_cuts_make_no_difference_to_a_broken_document(document: str, data: st.DataObject) -> None:
    broken = bytearray(document.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(broken)))
        broken[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from(
                [b"", b"<", b">", b"&", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?", b'"', b"/", b"\0", b"\xff"]
            )
        )
    whole = read(bytes(broken))
    same(read(bytes(broken), data.draw(st.lists(st.integers(0, 1 << 16), max_size=5))), whole)
    same(read(bytes(broken), list(range(len(broken)))), whole)


@pytest.mark.parametrize("tag", ['<a b="aé€😀z" c="😀"/>', '<title type="text">é😀x</title>', "<a b='é'>"])
@pytest.mark.parametrize("before", ["", "<!-- c -->", "<?p x?>"])
def test_a_character_that_is_cut_off_is_reported_in_the_same_way(tag: str, before: str) -> None:
    head = f'<feed xmlns="{ATOM}"><id>i</id><entry>{before}'.encode()
    data = tag.encode()
    for at in range(len(data)):
        for junk in (b"<!--", b"<", b"\xf0", b"\xff", b"&", b">"):
            for cut in (0, 2):
                broken = head + data[:at] + junk + data[at + cut :] + b"</entry></feed>"
                whole = read(broken)
                same(read(broken, list(range(len(broken)))), whole)
                same(read(broken, [len(head) + at + len(junk)]), whole)


@pytest.mark.slow
@LAW
@given(documents, st.data())
def test_comments_instructions_and_cdata_change_nothing(document: str, data: st.DataObject) -> None:
    tokens = TOKEN.findall(document)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(tokens)))
        noise = ["<!---->", "<!-- <a b='c'> & é ]]> -->", "<?p <entry> ?>", "<!-- <entry> -->"]
        if 0 < at < len(tokens) and not tokens[at - 1].startswith("</f:feed"):
            noise += ["<![CDATA[]]>"] if at > 1 else []
        tokens.insert(at, data.draw(st.sampled_from(noise)))
    places = [at for at, token in enumerate(tokens) if len(token) == 1]
    if places:
        at = data.draw(st.sampled_from(places))
        tokens[at] = f"<![CDATA[{tokens[at]}]]>"
    changed = "".join(tokens).encode()
    same(read(changed)[0], read(document.encode())[0])
    same(read(changed, list(range(len(changed))))[0], read(document.encode())[0])


@pytest.mark.slow
@LAW
@given(documents)
def test_prefixes_and_the_order_of_attributes_change_nothing(document: str) -> None:
    root = ET.fromstring(document)  # noqa: S314 # our own document
    for element in root.iter():
        turned = dict(reversed(element.attrib.items()))
        element.attrib.clear()
        element.attrib.update(turned)
    # ElementTree forgets that a carriage return must be a reference.
    rewritten = ET.tostring(root, encoding="utf-8").replace(b"\r", b"&#13;")
    same(read(rewritten)[0], read(document.encode())[0])


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "iso-8859-1", "windows-1252"])
@pytest.mark.parametrize("declared", [True, False])
@settings(max_examples=settings().max_examples // 10)
@given(document=documents)
def test_the_encoding_changes_nothing(document: str, encoding: str, *, declared: bool) -> None:
    name = encoding.removesuffix("-le")
    declaration = f'<?xml version="1.0" encoding="{name}" standalone="yes"?>' if declared else ""
    data = (declaration + document).encode(encoding, "xmlcharrefreplace")
    expected = read(document.encode())[0]
    reader = Reader(charset=None if declared or encoding.startswith("utf-16") else name)
    found = [entry for at in range(len(data)) for entry in reader.feed(data[at : at + 1])]
    same(found + list(reader.close().entries), expected)


@LAW
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=3))
def test_any_bytes_are_read_or_refused(data: bytes, cuts: list[int]) -> None:
    assert read(data, cuts) == read(data)


@LAW
@given(st.text(st.sampled_from("a<&\x00\x0b\ud800\udfff\ufffe\r]>\U0010ffff"), max_size=6), texts)
def test_any_text_is_written_or_refused(text: str, other: str) -> None:
    entry = Entry(
        id=other.strip(), title=Text(text), links=(Link("urn:x", title=text),), content=Content(text, "xhtml")
    )
    try:
        document = write_entry(entry)
    except InvalidInputError:
        return
    (again,) = read(document)[0]
    assert again.title == entry.title
    assert again.links == entry.links
    assert again.content is not None
    other_parser = ET.fromstring(document)  # noqa: S314 # our own document
    assert other_parser.findtext(f"{{{ATOM}}}title") == text
    assert [link.get("title") for link in other_parser.findall(f"{{{ATOM}}}link")] == [text]
