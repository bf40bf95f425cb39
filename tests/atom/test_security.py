"""Hostile documents: each is refused at the limit that it exceeds, in little memory."""

import re
import tracemalloc
from collections.abc import Callable, Iterator
from encodings.aliases import aliases

import pytest

from aioconnections.atom import Entry, Reader, read_document
from aioconnections.errors import AtomError

FEED = b'<feed xmlns="http://www.w3.org/2005/Atom">'
CHUNK = 1 << 12
MEGABYTE = 1 << 20


def endless(start: bytes, unit: bytes) -> Iterator[bytes]:
    yield start
    while True:
        yield unit * max(CHUNK // len(unit), 1)


def numbered(start: bytes, unit: str) -> Iterator[bytes]:
    yield start
    number = 0
    while True:
        yield "".join(unit.format(n=n) for n in range(number, number + 100)).encode()
        number += 100


def consumed(chunks: Iterator[bytes], reader: Reader, most: int) -> tuple[int, AtomError]:
    """Return the number of bytes before the refusal, which must not exceed `most`, and the error."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        assert total <= most, "accepted too much"
        try:
            reader.feed(chunk)
        except AtomError as error:
            return total, error
    raise AssertionError("not refused")


DENSE = "1280 elements, attributes and other markup in 16384 bytes"
LONG_NAMESPACE = "namespace URI longer than 128 bytes"
LIMITS = [
    ("a token in small pieces", endless(FEED + b"<a ", b"x"), 2**20, "token longer than"),
    ("an attribute in small pieces", endless(FEED + b'<a x="', b"> "), 2**20, "token longer than"),
    ("a comment", endless(FEED + b"<!--", b"x <abcdefgh> "), 2**20, "token longer than"),
    ("a CDATA section", endless(FEED + b"<![CDATA[", b"]] "), 2**20, "token longer than"),
    ("an instruction", endless(FEED + b"<?p ", b"? >"), 2**20, "token longer than"),
    ("a reference", endless(FEED + b"&", b"x"), 2**20, "token longer than"),
    ("text", endless(FEED, b"x"), 2**20, "token longer than"),
    ("blanks before the root", endless(b"", b" "), 2**20, "token longer than"),
    ("a declaration", endless(b"<?xml ", b" "), 2048, "malformed XML declaration"),
    ("depth", endless(FEED, b"<a>"), 2**16, "nested deeper than 100"),
    ("depth in an entry", endless(FEED + b"<entry>", b"<content>"), 2**16, "nested deeper than 100"),
    ("attributes", numbered(FEED + b"<a", ' abcdefgh{n}=""'), 2**20, "token longer than"),
    ("namespaces in one tag", numbered(FEED + b"<a", ' xmlns:a{n}="u:{n}"'), 2**20, "token longer than"),
    ("namespaces in nested tags", numbered(FEED, '<a xmlns:a{n}="u:{n}">'), 2**16, "nested deeper than 100"),
    ("namespaces in an entry", numbered(FEED + b"<entry>", '<a xmlns:a{n}="u:{n}"/>'), 2**20, "5000 elements"),
    ("namespaces in the feed", numbered(FEED, '<a xmlns:a{n}="u:{n}"/>'), 2**20, "5000 elements"),
    ("elements in an entry", endless(FEED + b"<entry>", b"<abcdefgh/>"), 2**18, "5000 elements"),
    (
        "elements of a lone entry",
        endless(b'<entry xmlns="http://www.w3.org/2005/Atom">', b"<abcdefgh/>"),
        2**18,
        "5000",
    ),
    ("attributes in an entry", numbered(FEED + b"<entry>", '<a abcdefghijklmn="{n}"/>'), 2**18, "5000 elements"),
    ("attributes in the feed", numbered(FEED, '<a abcdefghijklmn="{n}"/>'), 2**18, "5000 elements"),
    ("small elements", endless(FEED + b"<entry>", b"<a/>"), 2**14, DENSE),
    ("small attributes", endless(FEED, b"<entry a='' b='' c=''/>"), 2**14, DENSE),
    ("small entries", endless(FEED, b"<entry><id>x</id><title>12345678</title></entry>"), 2**14, DENSE),
    ("small children of the feed", endless(FEED, b"<title>1234567890123456789012345</title>"), 2**14, DENSE),
    ("small comments", endless(FEED + b"<entry>", b"<!--12-->"), 2**14, DENSE),
    ("small instructions", endless(FEED + b"<entry>", b"<?p 1234?>"), 2**14, DENSE),
    ("small sections", endless(FEED + b"<entry>", b"<![CDATA[]]>"), 2**14, DENSE),
    ("text in pieces", endless(FEED + b"<entry><title>", b"ab\n" * 999 + b"<?p?>"), 2**19, "more than 262144 bytes"),
    ("text outside of entries", endless(FEED, b"ab\n" * 999 + b"<?p?>"), 2**19, "more than 262144 bytes"),
    ("a namespace", endless(FEED + b"<a xmlns:b='" + b"u" * 129 + b"'/>", b" "), 2**12, LONG_NAMESPACE),
    ("a namespace of the root", endless(b'<feed xmlns="' + b"u" * 129 + b'">', b"<a/>"), 2**12, LONG_NAMESPACE),
    ("entries", endless(FEED, b"<entry></entry>"), 2**21, "more than 100000 entries"),
    ("nested entries", endless(FEED, b"<entry>"), 2**16, "nested deeper than 100"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "chunks", "most", "reason"), LIMITS, ids=[name for name, *_ in LIMITS])
def test_what_breaks_a_limit_is_refused_there(name: str, chunks: Iterator[bytes], most: int, reason: str) -> None:
    tracemalloc.start()
    try:
        reader = Reader() if reason == DENSE else Reader(max_density=1 << 14)
        _, error = consumed(chunks, reader, most + 2 * CHUNK + len(FEED) + 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reason in error.reason, name
    assert peak < 20 * MEGABYTE


SMALL_MARKUP = {
    "comments": b"<!---->",
    "comments with what ends an instruction": b"<!--?>-->",
    "comments not in ASCII": "<!--é-->".encode(),
    "comments between tags": b"<entry/><!---->",
    "comments in text": b"x<!---->",
    "instructions": b"<?p?>",
    "CDATA sections": b"<entry><![CDATA[]]></entry>",
    "elements": b"<entry>" + b"<a/>" * 900 + b"</entry>",
    "markup": b"<entry><content type='xhtml'>" + b"<a/>" * 900 + b"</content></entry>",
    "links": b"<entry>" + b"<link/>" * 500 + b"</entry>",
    "what looks like entries": b"<![CDATA[" + b"<entry>" * 500 + b"]]>",
    "what looks like attributes": b"<![CDATA[" + (b"<a" + b' b=""' * 300 + b">") * 2 + b"]]>",
}


@pytest.mark.slow
@pytest.mark.parametrize("unit", SMALL_MARKUP.values(), ids=SMALL_MARKUP)
def test_small_markup_is_counted(unit: bytes) -> None:
    most = 20_000
    reader = Reader(max_markup=most, max_density=1 << 14, max_entry=1 << 30)
    tracemalloc.start()
    try:
        total, error = consumed(endless(FEED, unit), reader, most * len(unit) + CHUNK + len(FEED))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.reason == f"more than {most} tags and other markup"
    assert total >= most * len(unit) // unit.count(b"<") - len(unit)
    assert peak < 20 * MEGABYTE


@pytest.mark.slow
def test_small_markup_is_bounded_by_default() -> None:
    unit = (b"<entry>" + b"<?p 3456789?>" * 1022 + b"</entry>") * 8
    reader = Reader()
    reader.feed(FEED)
    for _ in range((1 << 20) // (8 * 1024) - 1):
        assert len(reader.feed(unit)) == 8
    assert len(reader.feed(unit)) == 7
    with pytest.raises(AtomError, match="more than 1048576 tags"):
        reader.feed(unit)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["<entry><x{n}><entry><a{n}/></entry></x{n}></entry>", '<entry xmlns:a{n}="u:{n}"/>'])
def test_names_are_forgotten(unit: str) -> None:
    reader = Reader(max_entries=10**9, max_density=1 << 14)
    seen: list[Entry] = []
    tracemalloc.start()
    try:
        chunks = numbered(FEED, unit)
        for _ in range(400):
            seen = reader.feed(next(chunks))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen
    assert peak < 8 * MEGABYTE


DOCTYPES = {
    "billion laughs": b'<!DOCTYPE f [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><feed>&b;</feed>',
    "quadratic blow-up": b'<!DOCTYPE f [<!ENTITY a "' + b"x" * 50_000 + b'">]><feed>' + b"&a;" * 1000 + b"</feed>",
    "external entity": b'<!DOCTYPE f [<!ENTITY a SYSTEM "file:///etc/passwd">]><feed>&a;</feed>',
    "parameter entity": b'<!DOCTYPE f [<!ENTITY % a SYSTEM "http://127.0.0.1/x">%a;]><feed/>',
    "DTD retrieval": b'<!DOCTYPE feed SYSTEM "http://127.0.0.1/feed.dtd"><feed/>',
    "public DTD": b'<!DOCTYPE feed PUBLIC "-//X//Y" "http://127.0.0.1/feed.dtd"><feed/>',
    "bare": b"<!DOCTYPE feed><feed/>",
    "after a comment": b"<!-- --><!DOCTYPE feed><feed/>",
    "broken off": b"<!DOCTYPE feed",
    "endless": b"<!DOCTYPE feed" + b" " * 5000,
    "not a declaration": b"<!X><feed/>",
    "inside the root": FEED + b"<!DOCTYPE feed [<!ENTITY a 'b'>]></feed>",
}


@pytest.mark.parametrize("name", DOCTYPES)
def test_a_document_type_is_refused_where_it_begins(name: str) -> None:
    document = DOCTYPES[name].ljust(1 << 16)
    begins = document.index(b"<!DOCTYPE") if b"<!DOCTYPE" in document else document.index(b"<!")
    tracemalloc.start()
    try:
        reader = Reader()
        pieces = (document[at : at + 16] for at in range(0, len(document), 16))
        _, error = consumed(pieces, reader, begins + 4096 + 16)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "declaration" in error.reason
    assert peak < 20 * MEGABYTE


@pytest.mark.parametrize("size", [1, None])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "iso-8859-1", "windows-1252", "us-ascii"])
@pytest.mark.parametrize("name", DOCTYPES)
def test_no_document_type_is_processed(name: str, encoding: str, size: int | None) -> None:
    document = DOCTYPES[name].decode().encode(encoding)
    charset = encoding.replace("16-", "16")
    reader = Reader(charset=charset)
    with pytest.raises(AtomError, match="declaration"):  # noqa: PT012 # any of the calls may raise
        for at in range(0, len(document), size or len(document)):
            reader.feed(document[at : at + (size or len(document))])
        reader.close()
    with pytest.raises(AtomError, match="declaration"):
        read_document(document, charset=charset)


ALLOWED = re.compile(r"utf-?(8|16)|utf-16(le|be)|(us-)?ascii|(iso-8859-|latin-?)1|(windows-|cp)1252")
REGISTERED = sorted(
    name
    for known in {*aliases, *aliases.values(), "idna", "punycode", "undefined", "unicode_escape", "utf_32", "utf_8_sig"}
    for name in {known, known.replace("_", "-")}
    if not ALLOWED.fullmatch(name)
)


def test_the_registry_holds_other_encodings() -> None:
    assert {"zlib_codec", "rot13", "utf-7", "base64", "utf_16_le", "quopri", "bz2", "cp1140", "utf-32"} < {*REGISTERED}


def reason_against(encoding: str, size: int) -> str:
    document = f'<?xml version="1.0" encoding="{encoding}"?><feed/>'.encode()
    reader = Reader()
    try:
        for at in range(0, len(document), size):
            reader.feed(document[at : at + size])
    except AtomError as error:
        return error.reason
    return "none"


@pytest.mark.parametrize("size", [1, 1 << 16])
def test_no_other_encoding_is_looked_up(size: int) -> None:
    # In XML, the name of an encoding must not begin with a digit.
    expected = {"unsupported encoding": str.isalpha, "malformed XML declaration": str.isdigit}
    for reason, begins in expected.items():
        names = [name for name in [*REGISTERED, "x" * 900] if begins(name[0])]
        assert [(name, reason_against(name, size)) for name in names] == [(name, reason) for name in names]
    for name in REGISTERED:
        with pytest.raises(AtomError, match="unsupported encoding"):
            Reader(charset=name)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'<?xml version="1.1"?><feed/>', "unsupported XML version, expected 1.0"),
        (b"<?xml version='1.0' encoding='utf-16'?><feed/>", "document is not in its declared encoding"),
        (b"<?xml encoding='utf-8'?><feed/>", "malformed XML declaration"),
        (b'<?xml version="1.0"?><?xml version="1.0"?><feed/>', "XML or text declaration not at start of entity"),
        (FEED + b'<?xml version="1.0"?></feed>', "XML or text declaration not at start of entity"),
        (b"\x00\x00\xfe\xff" + b"\0" * 40, "unsupported encoding"),
        (b"\xff\xfe\x00\x00" + b"\0" * 40, "unsupported encoding"),
        (
            b'<?xml version="1.0" encoding="us-ascii"?>' + FEED + b"\xe9",
            "bytes are invalid in the document's encoding",
        ),
        (FEED + b"<a:b/>", "unbound prefix"),
        (FEED + b'<a b="" b=""/>', "duplicate attribute"),
        (FEED + b"<a>\x00</a>", "not well-formed (invalid token)"),
        (FEED + b"\xc0\xbca\xc0\xbe</feed>", "not well-formed (invalid token)"),
        (FEED + b"<!-- \xff --></feed>", "not well-formed (invalid token)"),
        (FEED + b"<!-- -- --></feed>", "not well-formed (invalid token)"),
    ],
)
def test_other_tricks(document: bytes, reason: str) -> None:
    for size in (1, len(document)):
        reader = Reader()
        with pytest.raises(AtomError) as caught:  # noqa: PT012 # any of the calls may raise
            for at in range(0, len(document), size):
                reader.feed(document[at : at + size])
            reader.close()
        assert caught.value.reason == reason


def read_all(document: bytes, size: int, reader: Reader) -> int:
    count = sum(len(reader.feed(document[at : at + size])) for at in range(0, len(document), size))
    return count + len(reader.close().entries)


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
@pytest.mark.parametrize(
    ("option", "limit", "inside"),
    [
        ("max_attributes", 3, b'<a a="" b="" c=""/>'),
        ("max_depth", 5, b"<a><b><c/></b></a>"),
        ("max_elements", 4, b"<a><b><c/></b></a>"),
        ("max_markup", 7, b"<!--<--><?p?>"),
        ("max_token", 50, b"x" * 50),
        ("max_bytes", len(FEED) + 100 + len("<entry></entry></feed>"), b"xxxxx<a/>z" * 10),
    ],
)
def test_a_limit_holds_exactly_however_the_document_is_cut(option: str, limit: int, inside: bytes, size: int) -> None:
    document = FEED + b"<entry>" + inside + b"</entry></feed>"
    reader: Callable[..., Reader] = Reader
    assert read_all(document, size, reader(**{option: limit})) == 1
    with pytest.raises(AtomError, match=rf"than {limit - 1}\b"):
        read_all(document, size, reader(**{option: limit - 1}))


def test_a_limit_that_is_exceeded_at_the_end_of_a_chunk() -> None:
    deep = b"<entry><a><b><c><d/></c></b></a></entry>"
    reader = Reader(max_depth=5)
    assert reader.feed(FEED) == []
    with pytest.raises(AtomError, match="elements nested deeper than 5"):
        reader.feed(deep)


def test_a_tag_in_a_tag_does_not_complete_the_entry() -> None:
    reader = Reader()
    assert len(reader.feed(FEED + b"<entry/><entry></entry>")) == 2
    for piece in (b"<entry><id>x</id><category<ent", b'ry> term="x"/></entry>'):
        with pytest.raises(AtomError, match="not well-formed"):
            reader.feed(piece)


BROKEN_TAGS = [
    (b"<fee<!d>", (1, 4)),
    (b"<feed <!DOCTYPE x>>", (1, 6)),
    (b"<feed a='<!-- -->'>", (1, 9)),
    (FEED + b"</<?x?>feed>", (1, len(FEED) + 2)),
    (FEED + b"<<![CDATA[x]]>feed>", (1, len(FEED) + 1)),
    (b'"<feed a="b">', (1, 0)),
    (b" \n'<feed/>", (2, 0)),
]


@pytest.mark.parametrize(("document", "place"), BROKEN_TAGS)
def test_a_broken_tag_is_reported_at_the_same_place_in_any_pieces(document: bytes, place: tuple[int, int]) -> None:
    for size in range(1, len(document) + 1):
        with pytest.raises(AtomError, match="not well-formed") as caught:
            read_all(document, size, Reader())
        assert (caught.value.line, caught.value.column) == place, size


def test_entries_are_counted() -> None:
    reader = Reader(max_entries=2)
    assert len(reader.feed(FEED + b"<entry/>" * 3 + b"</feed>")) == 2
    with pytest.raises(AtomError, match="more than 2 entries"):
        reader.close()


def test_what_looks_like_attributes_elsewhere_is_none() -> None:
    fake = b"<a " + b'b="" ' * 20 + b"x" * 60
    document = FEED + b"<entry><![CDATA[" + fake + b">]]><!--" + fake + b">--></entry></feed>"
    assert read_all(document, 1 << 16, Reader(max_attributes=3)) == 1


def test_a_comment_does_not_swallow_what_follows() -> None:
    # A hidden non-ASCII comment is shorter; tags and instructions follow without a gap.
    for comment in ("<!--é-->", "<!--ééé-->", "<!--" + "é" * 30 + "-->"):
        document = FEED + f"<entry>{comment}<id>a</id>{comment}<?p?><!-- -->{comment}</entry>{comment}".encode() * 3
        for size in (1, 7, 50, 1 << 16):
            assert read_all(document + b"<entry/></feed>", size, Reader()) == 4
            assert read_all(document + b"<entry/></feed>", size, Reader(max_token=80)) == 4


def test_a_namespace_has_128_bytes_at_most() -> None:
    for size in (1, 1 << 16):
        document = FEED + b"<entry xmlns:a='%s'/></feed>"
        assert read_all(document % (b"u" * 128), size, Reader()) == 1
        with pytest.raises(AtomError, match=LONG_NAMESPACE):
            read_all(document % (b"u" * 129), size, Reader())


@pytest.mark.parametrize("prefix", ["", ":a", ":" + "a" * 64, ":" + "a" * 65, ":" + "é" * 999])
@pytest.mark.parametrize("equals", ["=", " = ", "\n=\t"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_long_namespace_is_found_in_any_notation(prefix: str, equals: str, quote: str) -> None:
    # The entries before it hold what is nearly one: the name in a value and in text, and a long value of another name.
    near = "<entry a='xmlns' b='xmlns:p=' c='" + "u" * 200 + "'>xmlns='" + "u" * 200 + "'</entry>"
    for length in (128, 129):
        tag = f"<x xmlns{prefix}{equals}{quote}{'u' * length}{quote}/>"
        document = FEED + f"{near * 9}<entry>{tag}</entry></feed>".encode()
        if length == 128:
            assert read_all(document, 1 << 16, Reader()) == 10
        else:
            with pytest.raises(AtomError, match=LONG_NAMESPACE):
                read_all(document, 1 << 16, Reader())


def test_a_limit_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="max_depth must be at least 1, got 0"):
        Reader(max_depth=0)


def test_time_does_not_grow_with_the_square() -> None:
    # Each of these takes minutes if a token is rescanned with every byte, or text is joined at every comment.
    for unit in (b"x<!---->", b"x<!--?-->", b"x<?p?>", b"x<![CDATA[y]]>", b"&amp;", b"<a/>"):
        document = FEED + b"<title>" + unit * 9_000 + b"</title></feed>"
        assert read_all(document, 64, Reader(max_density=1 << 14, max_elements=10_000)) == 0
