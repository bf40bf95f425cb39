"""Texts, content, links and people as RFC 4287 defines them, and as servers send them."""

import attrs
import pytest

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
from aioconnections.errors import InvalidInputError

ATOM = "http://www.w3.org/2005/Atom"
XML = "{http://www.w3.org/XML/1998/namespace}"
SNX = "http://www.ibm.com/xmlns/prod/sn"
BASE = "https://example.com/a/b"


def entry(inside: str, attributes: str = "", base: str | None = None) -> Entry:
    reader = Reader(base=base, strict=False)
    reader.feed(f'<entry xmlns="http://www.w3.org/2005/Atom" xmlns:snx="{SNX}" {attributes}>{inside}</entry>'.encode())
    return reader.close().entries[0]


def again(written: Entry) -> Entry:
    """Write the entry and read it back."""
    reader = Reader()
    reader.feed(write_entry(written))
    return reader.close().entries[0]


def feed(inside: str, attributes: str = "", base: str | None = None) -> Feed:
    reader = Reader(base=base)
    reader.feed(f'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:snx="{SNX}" {attributes}>{inside}</feed>'.encode())
    return reader.close()


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<title>a &lt;b></title>", Text("a <b>")),
        ('<title type="html">&lt;b></title>', Text("<b>", "html")),
        (
            '<title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">a<b>c</b></div></title>',
            Text("a<b>c</b>", "xhtml"),
        ),
        ('<title type="xhtml">no div</title>', Text("no div", "xhtml")),
        ("<title>not <b>allowed</b> here</title>", Text("not allowed here")),
        ('<title type="text">not <b>allowed</b> here</title>', Text("not allowed here")),
        (
            '<title type="html">a &lt; <b CLASS="&quot;">c<br/>&amp;</b><i/> &nbsp;d</title>',
            Text('a &lt; <b CLASS="&quot;">c<br/>&amp;</b><i></i> \xa0d', "html"),
        ),
        ('<title type="text" xml:lang="de">a</title>', Text("a", lang="de")),
        ('<title xml:lang="">a</title>', Text("a")),
        ('<title type="text" snx:x="y">a</title>', Text("a", attributes=((f"{{{SNX}}}x", "y"),))),
    ],
)
def test_texts(markup: str, expected: Text) -> None:
    assert entry(markup).title == expected


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<content> a </content>", Content(" a ")),
        ('<content type="image/png">iVBO\n Rw==</content>', Content(b"\x89PNG", "image/png")),
        ('<content type="image/png">not base64!</content>', Content("not base64!", "image/png")),
        ('<content type="text/plain; charset=x">a=</content>', Content("a=", "text/plain; charset=x")),
        ('<content type="image/svg+xml"><x y="1">z</x></content>', None),
        ('<content src="c.pdf" type="application/pdf"/>', Content(b"", "application/pdf", f"{BASE[:-1]}c.pdf")),
    ],
)
def test_content(markup: str, expected: Content | None) -> None:
    found = entry(markup, base=BASE).content
    if expected is None:
        assert found is not None
        assert found.value == '<atom:x xmlns:atom="http://www.w3.org/2005/Atom" y="1">z</atom:x>'
    else:
        assert found == expected


@pytest.mark.parametrize("name", ["content", "title", "summary", "rights"])
@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<p>one</p>two<br/>", "<p>one</p>two<br/>"),
        (
            '<x:p xmlns:x="http://www.w3.org/1999/xhtml">one<x:img src="a&amp;b"/></x:p>',
            '<p>one<img src="a&amp;b"/></p>',
        ),
        ('<p xmlns="">one<td/><BR/></p>', "<p>one<td></td><BR/></p>"),
        ('<p xml:lang="de" xmlns:y="urn:y" y:z="1"/>', '<p xml:lang="de" xmlns:ns0="urn:y" ns0:z="1"></p>'),
        ('<m:b xmlns:m="urn:m"><m:c/></m:b>', '<ns0:b xmlns:ns0="urn:m"><ns0:c></ns0:c></ns0:b>'),
        ("<!-- <b> --><b>a<![CDATA[<&]]></b>", "<b>a&lt;&amp;</b>"),
    ],
)
def test_html_that_was_not_escaped_keeps_its_markup(name: str, markup: str, expected: str) -> None:
    found = getattr(entry(f'<{name} type="html">{markup}</{name}>'), name)
    assert (found.value, found.type) == (expected, "html")
    assert getattr(again(Entry(**{name: found})), name) == found


def test_content_of_the_media_type_of_html_keeps_its_markup_and_other_text_does_not() -> None:
    assert entry('<content type="text/html; charset=utf-8">a<b>c</b></content>').content == Content(
        "a<b>c</b>", "text/html; charset=utf-8"
    )
    assert entry('<content type="text/plain">a<b>c</b></content>').content == Content("ac", "text/plain")
    assert entry("<content>a<b>c</b></content>").content == Content("ac")


def test_references_are_resolved() -> None:
    found = entry(
        '<link href="x"/><link href="x" xml:base="c/"/><link href="mailto:a@example.com"/><link href="//["/>'
        '<author xml:base="d/"><uri xml:base="e/"> f </uri></author><title xml:base="t/">a</title>',
        f'xml:base="{BASE}"',
    )
    assert [link.href for link in found.links] == [
        "https://example.com/a/x", "https://example.com/a/c/x", "mailto:a@example.com", "//[",
    ]  # fmt: skip
    assert found.authors[0].uri == "https://example.com/a/d/e/f"
    assert found.title == Text("a", base="https://example.com/a/t/")
    assert found.base == BASE


def test_the_default_base_resolves_references_but_is_not_recorded() -> None:
    found = entry('<link href="x"/>', base=BASE)
    assert (found.links[0].href, found.base) == ("https://example.com/a/x", None)
    assert entry("", 'xml:base="c/"', base=BASE).base == "https://example.com/a/c/"


def test_without_a_base_references_are_unchanged() -> None:
    found = entry('<link href="x"/>', 'xml:base="c/"')
    assert (found.links[0].href, found.base) == ("x", "c/")


def test_dates_are_read_from_what_was_written() -> None:
    found = entry("<updated> 2017-11-02T11:06:23.739Z </updated><published>once</published>")
    assert found.updated is not None
    assert found.updated.isoformat() == "2017-11-02T11:06:23.739000+00:00"
    assert (found.published, found.published_text) == (None, "once")


def test_links() -> None:
    found = entry(
        '<link href="u" rel="next" type="t" title="T" hreflang="h" length="12" snx:x="y"/><link length="many"/>'
    )
    assert found.links == (
        Link("u", "next", "t", "T", "h", 12, ((f"{{{SNX}}}x", "y"),)),
        Link("", attributes=(("length", "many"),)),
    )
    assert found.link("next") is found.links[0]
    assert found.link("last") is None


def test_people() -> None:
    found = entry(
        "<author><name> A </name><name>B</name><email/><snx:userid>\nu </snx:userid><snx:other>o</snx:other></author>"
        '<contributor x="y"><snx:isExternal>true</snx:isExternal></contributor>'
    )
    other = XmlElement(f"{{{SNX}}}other", text="o")
    second = XmlElement("{http://www.w3.org/2005/Atom}name", text="B")
    assert found.authors == (AtomPerson("A", "", userid="u", extensions=(second, other)),)
    assert found.contributors == (AtomPerson(is_external="true", attributes=(("x", "y"),)),)


def test_the_ends_of_a_connection() -> None:
    side = f'snx:rel="{SNX}/connection/'
    found = entry(
        f'<snx:connection snx:a="b" xml:lang="en"><contributor {side}target" snx:x="y"><name>T</name></contributor>'
        f'<contributor {side}source"><uri>u</uri></contributor><contributor {side}source"/><snx:z/></snx:connection>'
    )
    rel = ((f"{{{SNX}}}rel", f"{SNX}/connection/source"),)
    assert found.connection == ConnectionEnds(
        AtomPerson(uri="u"),
        AtomPerson("T", attributes=((f"{{{SNX}}}x", "y"),)),
        (XmlElement("{http://www.w3.org/2005/Atom}contributor", rel), XmlElement(f"{{{SNX}}}z")),
        ((f"{{{SNX}}}a", "b"), (f"{XML}lang", "en")),
    )


def test_extensions_keep_their_content_and_do_not_leak() -> None:
    found = entry('<snx:x snx:a="b">t<title>not mine</title>u</snx:x>tail<title>mine</title>')
    title = XmlElement("{http://www.w3.org/2005/Atom}title", text="not mine", tail="u")
    element = XmlElement(f"{{{SNX}}}x", ((f"{{{SNX}}}a", "b"),), "t", (title,))
    assert found == Entry(title=Text("mine"), extensions=(element,))
    assert element.content == "tnot mineu"
    assert element.find(title.tag) is title
    assert element.find("x") is None
    assert (element.get(f"{{{SNX}}}a"), element.get("a")) == ("b", None)
    assert found.extension(f"{{{SNX}}}x") == element


SINGLE = ["id", "title", "updated", "published", "summary", "content", "rights", "source", "snx:connection"]


@pytest.mark.parametrize("name", SINGLE)
def test_the_first_of_repeated_single_elements_is_used_and_the_others_are_kept(name: str) -> None:
    first, second = f'<{name} snx:a="1"/>', f'<{name} snx:a="2"><snx:x>é</snx:x></{name}>'
    found = entry(f"{first}<snx:before/>{second}<snx:after/>{second}")
    alone = entry(first)
    space = SNX if name.startswith("snx:") else ATOM
    tag = f"{{{space}}}{name.removeprefix('snx:')}"
    late = XmlElement(tag, ((f"{{{SNX}}}a", "2"),), "", (XmlElement(f"{{{SNX}}}x", text="é"),))
    before, after = XmlElement(f"{{{SNX}}}before"), XmlElement(f"{{{SNX}}}after")
    assert found == attrs.evolve(alone, extensions=(before, late, after, late))
    assert again(found) == found


def test_the_language_and_the_base_of_links_people_and_categories_are_kept() -> None:
    found = entry(
        '<link href="x" xml:base="c/" xml:lang="en"/><category term="t" label="l" xml:lang="de"/>'
        '<author xml:lang="fr" xml:base="d/"><uri>u</uri></author>'
    )
    assert found.links == (Link("x", attributes=((f"{XML}base", "c/"), (f"{XML}lang", "en"))),)
    assert found.categories == (Category("t", None, "l", ((f"{XML}lang", "de"),)),)
    assert found.authors == (AtomPerson(uri="u", attributes=((f"{XML}base", "d/"), (f"{XML}lang", "fr"))),)
    assert again(found) == found
    based = entry('<link href="x" xml:base="c/"/>', f'xml:base="{BASE}"')
    assert again(based) == based


def test_the_metadata_of_a_feed() -> None:
    found = feed(
        '<icon>i.png</icon><logo>l.png</logo><generator uri="g" version="1">G</generator><subtitle>s</subtitle>'
        '<link rel="next" href="n"/><x:totalResults xmlns:x="http://a9.com/-/spec/opensearch/1.1/">97 </x:totalResults>'
        '<x:startIndex xmlns:x="http://a9.com/-/spec/opensearch/1.1/">many</x:startIndex><snx:x/>'
        "<updated>2017-11-02T11:06:23.739Z</updated>",
        'xml:lang="en" snx:a="b"',
        base=BASE,
    )
    assert found == Feed(
        icon="https://example.com/a/i.png",
        logo="https://example.com/a/l.png",
        generator=Generator("G", "https://example.com/a/g", "1"),
        subtitle=Text("s", lang="en"),
        links=(Link("https://example.com/a/n", "next"),),
        total_results=97,
        extensions=(XmlElement(f"{{{SNX}}}x"),),
        updated_text="2017-11-02T11:06:23.739Z",
        lang="en",
        attributes=((f"{{{SNX}}}a", "b"),),
    )
    assert found.updated is not None
    assert found.link("next") is found.links[0]
    assert found.link("last") is None


def test_many_different_people_and_categories() -> None:
    people = "".join(f"<author><name>{number}</name></author>" for number in range(600))
    long = "x" * 2000
    found = entry(f'{people}<author><name>{long}</name></author><category term="{long}"/>')
    assert [author.name for author in found.authors] == [*map(str, range(600)), long]
    assert found.categories == (Category(long),)


XMLNS_NAME = "{http://www.w3.org/2000/xmlns/}a"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Entry(id="a\0"), "text must not contain U+0000, which XML does not allow; remove it"),
        (Entry(title=Text("\ud800")), "text must not contain U+D800, which XML does not allow; remove it"),
        (Entry(title=Text("<b>", "xhtml")), "XHTML and XML content must be well-formed"),
        (Entry(title=Text("\ud800", "xhtml")), "XHTML and XML content must be well-formed"),
        (Entry(content=Content("<!DOCTYPE x>", "application/xml")), "XHTML and XML content must be well-formed"),
        (Entry(attributes=(("a b", ""),)), "'a b' is not a valid XML name"),
        (Entry(attributes=((XMLNS_NAME, ""),)), f"'{XMLNS_NAME}' is not a valid XML name"),
        (Entry(attributes=(("a", ""), ("a", ""))), "the attributes of an element must have different names"),
        (Entry(extensions=(XmlElement("1"),)), "'1' is not a valid XML name"),
        (Entry(extensions=(XmlElement("{}a"),)), "'{}a' is not a valid XML name"),
    ],
)
def test_what_xml_cannot_hold_is_not_written(bad: Entry, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        write_entry(bad)
    assert str(caught.value) == message


def test_too_deep_to_be_written() -> None:
    element = XmlElement("{urn:x}x")
    for _ in range(2000):
        element = XmlElement("{urn:x}x", children=(element,))
    with pytest.raises(InvalidInputError, match="nested deeper"):
        write_entry(Entry(extensions=(element,)))
