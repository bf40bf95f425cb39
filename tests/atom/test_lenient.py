"""Lenient reading: characters that XML forbids, and the entities of HTML, for any split of the document."""

from html.entities import name2codepoint

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.atom import Entry, Reader, read_document
from aioconnections.errors import AtomError

FEED = '<feed xmlns="http://www.w3.org/2005/Atom">'
NAMES = sorted({*name2codepoint, "apos"})
ENCODINGS = ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "us-ascii", "iso-8859-1", "windows-1252"]


def read(document: bytes, size: int | None = None, *, strict: bool = False, charset: str | None = None) -> list[Entry]:
    reader = Reader(strict=strict, charset=charset)
    size = size or max(len(document), 1)
    found = [entry for at in range(0, len(document), size) for entry in reader.feed(document[at : at + size])]
    return found + list(reader.close().entries)


def title_of(markup: str, size: int | None = None) -> str:
    (entry,) = read(f"{FEED}<entry><title>{markup}</title></entry></feed>".encode("utf-8", "surrogatepass"), size)
    assert entry.title is not None
    return entry.title.value


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("a\x08b", "a\ufffdb"),
        ("\x00\x01\x0b\x0c\x0e\x1f", "\ufffd" * 6),
        ("\t\n \x7f\x85", "\t\n \x7f\x85"),
        ("\ufffe|\uffff|\ufffd", "\ufffd|\ufffd|\ufffd"),
        ("\ud800|\udfff", "\ufffd|\ufffd"),
        ("한국어\ud7ff！", "한국어\ud7ff！"),
        ("&#8;&#x8;&#x0;&#00;&#xB;", "\ufffd" * 5),
        ("&#xD800;&#57343;&#xFFFE;&#65535;&#x110000;&#99999999999999999999;", "\ufffd" * 6),
        ("&#00009;|&#x0000A;|&#00008;|&#x0000B;", "\t|\n|\ufffd|\ufffd"),
        ("&#65;&#x42;&#9;&#xD7FF;&#x10FFFF;", "AB\t\ud7ff\U0010ffff"),
        ("a&nbsp;b&hellip;&Eacute;&thetasym;&frac14;", "a\xa0b\u2026\xc9\u03d1\xbc"),
        ("&lt;b&gt;&amp;nbsp;&quot;&apos;", "<b>&nbsp;\"'"),
        ("<![CDATA[a&nbsp;&#8;\x08]]>&nbsp;", "a&nbsp;&#8;\ufffd\xa0"),
        ("<!--\x08&bogus;-->&nbsp;<?p &nbsp;\x08?>&nbsp;", "\xa0\xa0"),
        ("&nbsp;<!-- a > & ' -->&nbsp;<![CDATA[]]]]>&nbsp;", "\xa0\xa0]]\xa0"),
        ("&nbsp;<!--é--><!---->é&nbsp;", "\xa0é\xa0"),
    ],
)
def test_text(markup: str, expected: str, size: int | None) -> None:
    assert title_of(markup, size) == expected


def test_all_names_of_html_4_and_xhtml_1_are_known() -> None:
    assert len(NAMES) == 253
    for name in NAMES:
        assert title_of(f"&{name};") == chr(name2codepoint.get(name, ord("'")))


@pytest.mark.parametrize("size", [1, 5, None])
def test_attribute_values(size: int | None) -> None:
    document = (
        f"{FEED}<entry><link title=\"&eacute;\x08&#1;'\" rel='\"&nbsp;&#x41;>' href='u'/></entry></feed>".encode()
    )
    (entry,) = read(document, size)
    assert (entry.links[0].title, entry.links[0].rel) == ("é\ufffd\ufffd'", '"\xa0A>')


@pytest.mark.parametrize("size", [1, None])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding(encoding: str, size: int | None) -> None:
    document = f"{FEED}<entry><title>a&nbsp;b\x08c&#8;d&hellip;</title></entry></feed>".encode(encoding)
    charset = encoding if encoding.startswith(("us", "iso", "win")) else None
    (entry,) = read(document, size, charset=charset)
    assert entry.title is not None
    assert entry.title.value == "a\xa0b\ufffdc\ufffdd\u2026"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_lone_surrogate_in_utf_16(encoding: str) -> None:
    document = f"{FEED}<entry><title>a\ud83d|\U0001f600</title></entry></feed>".encode(encoding, "surrogatepass")
    for size in (1, len(document)):
        (entry,) = read(document, size)
        assert entry.title is not None
        assert entry.title.value == "a\ufffd|\U0001f600"
    with pytest.raises(AtomError, match="bytes are invalid in the document's encoding"):
        read(document, strict=True)


@pytest.mark.parametrize("size", [1, None])
@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("a & b", "not well-formed (invalid token)"),
        ("&bogus;", "undefined entity"),
        ("&nbsp", "not well-formed (invalid token)"),
        ("&#X8;", "not well-formed (invalid token)"),
        ("<a\x08b/>", "not well-formed (invalid token)"),
        ("<a b=&nbsp;/>", "not well-formed (invalid token)"),
        ("&" + "x" * 40 + ";", "undefined entity"),
        ("&#" + "0" * 40 + "8;", "reference to invalid character number"),
        (
            "<!DOCTYPE feed [<!ENTITY nbsp 'x'>]>&nbsp;",
            "document type declarations are not allowed (DTDForbidden)",
        ),
        ("\xc3\x28", None),
        ("<!-- &nbsp;", "unexpected end of document"),
        ("<![CDATA[ &nbsp;", "unexpected end of document"),
    ],
)
def test_what_is_still_refused(inside: str, reason: str | None, size: int | None) -> None:
    encoding = "latin-1" if reason is None else "utf-8"
    end = "" if reason == "unexpected end of document" else "</title></entry></feed>"
    document = f"{FEED}<entry><title>{inside}{end}".encode(encoding)
    with pytest.raises(AtomError) as caught:
        read(document, size)
    assert caught.value.reason == (reason or "not well-formed (invalid token)")


def test_no_entity_of_a_document_type_is_ever_read() -> None:
    document = b'<!DOCTYPE feed [<!ENTITY nbsp "x">]><feed>&nbsp;</feed>'
    for size in (1, len(document)):
        with pytest.raises(AtomError, match="document type declarations"):
            read(document, size)


@pytest.mark.parametrize("inside", ["a\x08", "&nbsp;", "&#8;", "\ufffe"])
def test_the_reader_is_strict_by_default(inside: str) -> None:
    document = f"{FEED}<entry><title>{inside}</title></entry></feed>".encode()
    reader = Reader()
    with pytest.raises(AtomError):
        reader.feed(document)
    with pytest.raises(AtomError):
        read_document(document)
    found = read_document(document, strict=False)
    assert found is not None
    assert found.content in {"a\ufffd", "\xa0", "\ufffd"}


def test_the_place_of_an_error_is_right_after_replacements() -> None:
    document = (FEED + "\n<entry>\x08\ufffe&#8;\n<title>\x08é\n&bogus;</title></entry></feed>").encode()
    for size in (1, len(document)):
        with pytest.raises(AtomError) as caught:
            read(document, size)
        assert (caught.value.line, caught.value.column, caught.value.element) == (4, 0, "title")


def test_an_entry_is_returned_with_its_last_byte() -> None:
    reader = Reader(strict=False)
    assert len(reader.feed(f"{FEED}<entry><title>a &nbsp; b\x08</title></entry>".encode())) == 1
    assert len(reader.feed("<entry><!-- & --></entry>\ufffd".encode())) == 1


PIECES = [
    "&nbsp;", "&#8;", "&#xD800;", "\x08", "\ufffe", "\ud800", "<![CDATA[", "]]>", "<!--", "-->", "<?p ", "?>", "<a>",
    "</a>", "<a b='", "'/>", "&amp;", "&", "nbsp;", "a", "é", "한", "&#39;", "&bogus;", "]", "-", "?", "!", "<", "\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.lists(st.integers(0, 200), max_size=5))
def test_cuts_make_no_difference(inside: str, cuts: list[int]) -> None:
    document = f"{FEED}<title>{inside}</title><entry><id>i</id></entry></feed>".encode("utf-8", "surrogatepass")

    def outcome(edges: list[int]) -> object:
        reader = Reader(strict=False)
        try:
            found = [
                e for a, b in zip([0, *edges], [*edges, len(document)], strict=True) for e in reader.feed(document[a:b])
            ]
            return found, reader.close()
        except AtomError as error:
            return error.line

    whole = outcome([])
    assert outcome(sorted(min(cut, len(document)) for cut in cuts)) == whole
    assert outcome(list(range(1, len(document)))) == whole


@given(
    st.lists(st.sampled_from([piece for piece in PIECES if piece.isprintable() and piece[-1] not in "<&"]), max_size=9)
)
def test_what_strict_reading_accepts_reads_the_same(pieces: list[str]) -> None:
    document = f"{FEED}<title>{''.join(pieces)}</title><entry><id>i</id></entry></feed>".encode()
    try:
        expected = read(document, strict=True)
    except AtomError:
        return
    assert read(document) == expected


def test_time_does_not_grow_with_the_square() -> None:
    # Each of these takes minutes if held data is rescanned with every piece.
    for unit in (
        "&nbsp;",
        "&#8;",
        "\x08",
        "&",
        "<![CDATA[&nbsp;]]>",
        "<!--&nbsp;\x08-->",
        "<a b='&nbsp;' c123456789012345678901=''/>",
    ):
        document = f"{FEED}<title>{unit * 1_600}</title></feed>".encode()
        for size in (64, 1 << 16):
            try:
                read(document, size)
            except AtomError:
                assert unit == "&"


@pytest.mark.parametrize("cut", ["&nbsp;&am", "&nbsp;x"])
def test_what_lies_before_the_limit_is_given_also_if_it_ends_in_the_middle_of_a_reference(cut: str) -> None:
    reader = Reader(strict=False, max_markup=5)
    found = reader.feed(f"{FEED}<entry><title>a</title></entry>{cut}<entry><title/></entry></feed>".encode())
    assert [it.title.value for it in found if it.title] == ["a"]
    with pytest.raises(AtomError, match="more than 5 tags"):
        reader.close()
