"""Templates read entries exactly as the XML parser does, and read most entries of a real feed.

With a limit of entries below 64 KiB no template is used, so such a reader tells what the parser alone does.
"""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random

import pytest

from aioconnections.atom import Entry, Reader, Templates
from aioconnections.atom.templates import template_of
from aioconnections.errors import AtomError

ALONE = (1 << 15) - 1
ROOT = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:snx="http://www.ibm.com/xmlns/prod/sn"'
Read = tuple[list[Entry], str | None]


def colleague(number: int) -> str:
    """An entry as the vendor's servers write it."""
    people = [
        f"<name>Ada {each}</name><snx:userid>{each:04}-9C1B</snx:userid><email>ada{each}@example.com</email>"
        "<snx:userState>active</snx:userState><snx:isExternal>false</snx:isExternal>"
        for each in (0, number)
    ]
    sides = "".join(
        f'<contributor snx:rel="http://www.ibm.com/xmlns/prod/sn/connection/{side}">{person}</contributor>'
        for side, person in zip(("source", "target"), people, strict=True)
    )
    href = f"https://connections.example.com/profiles/atom/connection.do?connectionId={number:04}"
    return (
        f'<entry><id>tag:profiles.ibm.com,2006:entry{number:04}</id><title type="text">Ada {number}</title>'
        f"<updated>2017-05-15T13:{number % 60:02}:45.123Z</updated>"
        '<category term="connection" scheme="http://www.ibm.com/xmlns/prod/sn/type"></category>'
        '<category term="accepted" scheme="http://www.ibm.com/xmlns/prod/sn/status"></category>'
        f"<author>{people[0]}</author><contributor>{people[1]}</contributor><snx:connection>{sides}</snx:connection>"
        f'<content type="html"></content><link href="{href}" rel="self" type="application/atom+xml"></link>'
        f'<link href="{href}&amp;inclMessage=true" rel="edit" type="application/atom+xml"></link>'
        '<summary type="text"></summary></entry>'
    )


def read(reader: Reader, document: bytes, size: int) -> Read:
    """The entries before the end or the first error, and the error."""
    entries: list[Entry] = []
    try:
        for start in range(0, len(document), size):
            entries += reader.feed(document[start : start + size])
        entries += reader.close().entries
    except AtomError as error:
        return entries, str(error)
    return entries, None


def assert_same(document: bytes, size: int = 1 << 20, *, base: str | None = None, strict: bool = True) -> Read:
    """Assert that templates change nothing; return what was read."""
    alone, error = read(Reader(base=base, strict=strict, max_entry=ALONE), document, size)
    found, other = read(Reader(base=base, strict=strict), document, size)
    assert other == error
    if error is None or len(found) != len(alone) + 1:
        assert found == alone
    else:  # the parser keeps an entry that is followed by half a tag until it has the other half
        assert found[:-1] == alone
    return found, error


def feed(entries: Sequence[str], *, root: str = ROOT, between: str = "") -> bytes:
    return f"{root}><title>x</title>{between.join(['', *entries, ''])}</feed>".encode(errors="surrogatepass")


REGULAR = [colleague(number) for number in range(30)]


@pytest.mark.parametrize("size", [1 << 20, 1 << 14, 1000, 7])
@pytest.mark.parametrize("between", ["", "\n", "\r\n  ", "<x/>", "<!-- x -->", "<?x?>", "x"])
def test_a_regular_feed(size: int, between: str) -> None:
    entries, error = assert_same(feed(REGULAR, between=between), size)
    assert (len(entries), error) == (30, None)


def test_a_feed_of_many_people() -> None:
    entries, error = assert_same(feed([colleague(number) for number in range(400)]), 1 << 14)
    assert (len(entries), error) == (400, None)


@pytest.mark.parametrize(
    "last", ["<entry><id>x</id></entry >", "<entry><id>x</id></entry\n>", "<entry />", "<entry a='>'/>"]
)
@pytest.mark.parametrize("size", [1 << 20, 1000])
def test_the_last_entry_of_a_truncated_feed(last: str, size: int) -> None:
    entries, error = assert_same(feed([*REGULAR, last]).removesuffix(b"</feed>") + b" " * 500, size)
    assert (len(entries), error is None) == (31, False)


@pytest.mark.parametrize("end", ["</entry <!-- >", '</entry "<x">', "</entry <?p?>"])
@pytest.mark.parametrize("size", [9, 30, 1000])
def test_an_end_tag_that_holds_other_markup_ends_no_entry(end: str, size: int) -> None:
    entries, error = assert_same(feed([*REGULAR[:20], f"<entry><id>x</id>{end} z</entry>"]), size)
    assert (len(entries), error is None) == (20, False)


TEXTS = {
    "reference": "Ada &amp; Bob",
    "character reference": "Ad&#97;",
    "unknown entity": "a&nbsp;b",
    "white space around": " Ada ",
    "white space of Unicode around": "\u3000Ada\u00a0",
    "line end": "Ada\nMarsh",
    "carriage return": "Ada\r\nMarsh\r",
    "tab": "Ada\tMarsh",
    "nothing": "",
    "greater than": "a > b",
    "end of CDATA": "a ]]> b",
    "CDATA": "<![CDATA[<b>]]>",
    "comment": "a<!-- b -->c",
    "instruction": "a<?b c?>d",
    "element": "a<b>c</b>d",
    "control character": "a\x08b",
    "delete": "a\x7fb",
    "other control character": "a\x85b",
    "noncharacter": "a\ufffeb",
    "replacement character": "a\ufffdb",
    "private use": "a\uf8ffb",
    "lone surrogate": "a\ud800b",
    "emoji": "Ada 👩‍💻",
    "right to left": "\u202eadA",
    "quotation marks": "\"'",
    "percent": "100 %s %(a)s %",
    "braces": "{0} \\1",
    "entry": "</entry><entry>",
    "equals": "a=b",
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(
    "place",
    [
        "Ada 20</title>",
        "ada20@example.com",
        'term="accepted',
        "connectionId=0020",
        "tag:profiles.ibm.com,2006:entry0020",
    ],
)
def test_an_odd_text_in_a_regular_feed(text: str, place: str, *, strict: bool) -> None:
    kept = place.partition("</")[1] + place.partition("</")[2] if "</" in place else ""
    start = 'term="' if place.startswith("term") else ""
    entries = [*REGULAR]
    entries[20] = entries[20].replace(place, f"{start}{text}{kept}")
    assert entries[20] != REGULAR[20]
    assert_same(feed(entries), strict=strict)
    assert_same(feed(entries, between="\n"), 1 << 12, strict=strict)


def test_a_malformed_entry_at_the_end() -> None:
    for end in ("</contributor0<?p?>\n</feed>\n", "</x>", "<", "&", "</entry", "\x00"):
        document = feed(REGULAR).removesuffix(b"</feed>") + f"<entry><id>x</id>{end}".encode()
        _, error = assert_same(document)
        assert error is not None


def test_bytes_that_are_not_utf_8() -> None:
    document = feed(REGULAR)
    for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"):
        for strict in (True, False):
            _, error = assert_same(document.replace(b"Ada 20</title>", b"A" + bad + b"</title>"), strict=strict)
            assert strict is False or error is not None


@pytest.mark.parametrize(
    "href", ["relative", "/path", "HTTPS://host", "//host/a", "mailto:a@b", "", "?a", "https://h/a b ", " https://h"]
)
@pytest.mark.parametrize("base", [None, "https://base.example.com/a/b"])
def test_references(href: str, base: str | None) -> None:
    def with_href(number: int) -> str:
        return REGULAR[number].replace("https://connections.example.com/profiles/atom/connection.do", href)

    assert_same(feed([*REGULAR[:20], with_href(20), *REGULAR[21:]]), base=base)
    assert_same(feed([with_href(number) for number in range(30)]), base=base)
    assert_same(feed(REGULAR, root=f'{ROOT} xml:base="https://other.example.com/"'), base=base)


def test_relative_references_that_are_fixed_count_for_the_budget() -> None:
    entry = '<entry><id>{n}</id><link href="' + "a" * 3000 + '" rel="x"/></entry>'
    document = feed(
        [entry.replace("{n}", str(number)) for number in range(900)], root=f'{ROOT} xml:base="https://h/{"b" * 4000}/"'
    )
    assert_same(document, 1 << 16)


@pytest.mark.parametrize(
    "inside",
    [
        "<content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>{text}</div></content>",
        "<content type='image/png'>{text}</content>",
        "<content type='text/plain'>{text}</content>",
        "<content type='application/xml'><a>{text}</a></content>",
        "<content>{text}</content>",
        "<title type='html'>{text}</title><title>{text}</title>",
        "<summary type='html'><b>{text}</b></summary>",
        "<source><id>{text}</id><updated>{text}</updated></source>",
        "<author><uri>{text}</uri><name>{text}</name></author>",
        "<link href='https://h/{text}'/>",
        '<link xmlns="u:x" href="https://h/{text}"/>',
        '<link title="https://h/" href="https://h/{text}" length="12"/>',
        '<category term="{text}"/><category label="x" term="{text}"/>',
        "<snx:role a='b'>{text}</snx:role><x><y>{text}</y>{text}</x>",
        "<a b='x>y'>{text}</a>",
        "<a>{text}<b/></a><a b='c'>{text}</a >",
        "<entry><id>{text}</id></entry><id>{text}</id>",
        "<id><!-- c -->{text}</id>",
        "<updated>{text}</updated><published>{text}</published>",
    ],
)
def test_other_forms_of_entries(inside: str) -> None:
    texts = ["text", "YWJj", "a b", "12", "https://h/x", "abcd", "2017-05-15T13:00:00Z"]
    entries = [f"<entry>{inside.format(text=texts[number % len(texts)])}</entry>" for number in range(60)]
    assert_same(feed(entries))
    assert_same(feed(entries), 100)
    assert_same(feed(entries, root=f'{ROOT} xml:lang="de" xml:base="https://base.example.com/"'))


def test_several_forms_in_turn() -> None:
    forms: list[Callable[[int], str]] = [
        lambda number: REGULAR[number],
        lambda number: f"<entry><id>{number}</id></entry>",
        lambda number: f"<entry><id>{number}</id><title>{number}</title></entry>",
        lambda number: REGULAR[number].replace("false", "true", 1).replace("<email>", "<email >"),
    ]
    random = Random(1)
    assert_same(feed([random.choice(forms)(random.randrange(30)) for _ in range(400)]), 5000)


def test_an_entry_in_a_comment_or_another_entry_is_no_child_of_the_feed() -> None:
    extra = REGULAR[1]
    for hidden in (f"<!-- {extra} -->", f"<![CDATA[{extra}]]>", f"<x>{extra}</x>", f"<source>{extra}</source>"):
        assert_same(feed([*REGULAR[:20], f"<entry>{hidden}</entry>", *REGULAR[21:]]))
        assert_same(feed([*REGULAR[:20], f"<author>{hidden}</author>", *REGULAR[21:]]))
    assert_same(feed([*REGULAR[:20], f"<!-- {extra} -->", f"<x>{extra}</x>", f"<feed>{extra}</feed>", *REGULAR[21:]]))
    assert_same(feed(REGULAR).replace(b"</feed>", b"</feed>" + extra.encode()))


def test_other_names_that_begin_alike() -> None:
    for name in ("entry2", "entryx", "entry.x", "snx:entry"):
        assert_same(feed([each.replace("entry>", f"{name}>") for each in REGULAR] + REGULAR))


@pytest.mark.parametrize("own", ["", " xmlns:b='http://www.w3.org/2005/Atom'", " xmlns='u:x'"])
def test_an_entry_of_another_namespace_is_no_entry(own: str) -> None:
    entries = [f"<entry{own}><id>{number}</id></entry>" for number in range(40)]
    for root in ("<feed xmlns='http://www.w3.org/2005/Atom'", "<a:feed xmlns:a='http://www.w3.org/2005/Atom'"):
        document = feed(entries, root=root).replace(b"</feed>", b"</a:feed>" if "a:" in root else b"</feed>")
        found, error = assert_same(document)
        assert (len(found), error) == (0 if "a:" in root or "u:x" in own else 40, None)


def test_a_text_that_the_lenient_filter_makes_too_long() -> None:
    small = [f"<entry><id>{number}</id></entry>" for number in range(40)]
    long = f"<entry><id>{chr(8) * 15_000}</id></entry>"
    document = feed([*small, " " * 14_500, long, *small])
    for strict in (True, False):
        alone = read(Reader(max_token=1 << 15, max_entry=ALONE, strict=strict), document, 1 << 20)
        assert read(Reader(max_token=1 << 15, strict=strict), document, 1 << 20) == alone
        assert alone[1] is not None


@pytest.mark.parametrize(
    "limits",
    [
        {"max_entries": 25},
        {"max_markup": 1100},
        {"max_bytes": 45_000},
        {"max_elements": 40},
        {"max_depth": 4},
        {"max_density": 300},
    ],
)
@pytest.mark.parametrize("size", [1 << 20, 3000])
def test_limits_hold(limits: dict[str, int], size: int) -> None:
    make: Callable[..., Reader] = Reader
    alone, error = read(make(max_entry=ALONE, **limits), feed(REGULAR), size)
    found, other = read(make(**limits), feed(REGULAR), size)
    assert found == alone
    assert error is not None
    assert other is not None
    assert other.partition(" in <")[0] == error.partition(" in <")[0]  # one may be found earlier than the other


PIECES = (
    *("<", ">", "&", '"', "'", "/", " ", "\n", "\r", "\t", "=", "x", "%s", "é", "😀", "\x00", "\uffff", "\u2028"),
    *("]]>", "<!--", "-->", "<![CDATA[", "<?", "?>", "</entry>", "<entry>", "&amp;", "&#8;", "<x>", "</x>"),
    *("xmlns:snx='u:x'", "xml:base='/b/'"),
)


def mutated(random: Random) -> bytes:
    """A regular feed in which some entries are damaged or changed at any place."""
    entries = [*REGULAR]
    for _ in range(random.randrange(1, 4)):
        number = random.randrange(13, 30)
        text = entries[number]
        for _ in range(random.randrange(1, 3)):
            at = random.randrange(len(text))
            end = at if random.random() < 0.6 else min(len(text), at + random.randrange(1, 30))
            text = text[:at] + random.choice(PIECES) * random.randrange(0, 2) + text[end:]
        entries[number] = text
    return feed(entries, between=random.choice(["", "", "\n", " "]))


def assert_mutated_feeds_are_the_same(seeds: range) -> None:
    for seed in seeds:
        random = Random(seed)
        document = mutated(random)
        assert_same(document, random.choice([1 << 20, 1 << 14, 900, 3000]), strict=random.random() < 0.5)


def test_feeds_that_are_damaged_at_random() -> None:
    assert_mutated_feeds_are_the_same(range(60))


@pytest.mark.slow
def test_many_feeds_that_are_damaged_at_random() -> None:
    assert_mutated_feeds_are_the_same(range(60, 1200))


@pytest.mark.full
def test_very_many_feeds_that_are_damaged_at_random() -> None:
    assert_mutated_feeds_are_the_same(range(2000, 40_000))


def reduced(entries: Sequence[Entry], fields: Sequence[str]) -> list[Entry]:
    return [Entry(**{name: getattr(entry, name) for name in fields}) for entry in entries]


@pytest.mark.parametrize("fields", [("id", "categories", "connection"), ("links",), ("title", "lang", "base"), ()])
@pytest.mark.parametrize("size", [1 << 20, 1000])
def test_only_some_fields(fields: tuple[str, ...], size: int) -> None:
    odd = [text.replace("accepted", "a&amp;b").replace("Ada 2", "A<!-- -->da") for text in REGULAR[13:16]]
    document = feed([*REGULAR, *odd, *REGULAR], root=f'{ROOT} xml:lang="en"')
    entries, error = read(Reader(), document, size)
    assert read(Reader(fields=fields), document, size) == (reduced(entries, fields), error)


@pytest.mark.parametrize("bad", ["Ada &nbsp;", "Ada\x08", "Ada ]]>"])
def test_fields_that_are_not_read_are_checked_all_the_same(bad: str) -> None:
    document = feed([*REGULAR[:20], REGULAR[20].replace("Ada 20", bad), *REGULAR[21:]])
    entries, error = read(Reader(), document, 1 << 12)
    assert error is not None
    assert read(Reader(fields=("id",)), document, 1 << 12) == (reduced(entries, ("id",)), error)


def test_a_lone_entry_with_only_some_fields() -> None:
    alone = REGULAR[0].replace("<entry>", f"<entry{ROOT.removeprefix('<feed')}>").encode()
    (entry,) = read(Reader(fields=("id",)), alone, 100)[0]
    assert entry == Entry(id="tag:profiles.ibm.com,2006:entry0000")


def test_a_field_that_entries_do_not_have() -> None:
    with pytest.raises(ValueError, match="Entry has no field author, ids"):
        Reader(fields=("ids", "author", "id"))


def test_templates_of_earlier_documents() -> None:
    shared = Templates()
    documents = [
        feed(REGULAR),
        feed(REGULAR[:3]),
        feed(REGULAR, root=ROOT.replace("xmlns:snx", "xmlns:a='b' xmlns:snx")),
        feed(REGULAR, root=ROOT.replace("prod/sn", "prod/other")),
        feed(REGULAR, root=f'{ROOT} xml:lang="de"'),
        feed(REGULAR, root=f'{ROOT} xml:base="https://base.example.com/"'),
        feed(REGULAR).replace(b'xmlns="http://www.w3.org/2005/Atom"', b'xmlns="http://www.w3.org/2005/Atom" a="b"'),
        feed([each.replace(' href="https:', ' href="http:') for each in REGULAR]),
        b"<html/>",
    ]
    readers: list[Callable[..., Reader]] = [Reader, partial(Reader, base="https://h/"), partial(Reader, fields=("id",))]
    for document in documents * 2:
        for reader in readers:
            assert read(reader(templates=shared), document, 1 << 13) == read(reader(), document, 1 << 13)


def test_templates_of_the_latest_kinds_of_documents_are_kept() -> None:
    shared = Templates()
    kept = {base: shared.of(base, None) for base in "abcde"}
    assert all(shared.of(base, None) is kept[base] for base in "bcde")
    assert shared.of("a", None) is not kept["a"]


def alone(text: str) -> Entry:
    """An entry, read by the parser alone."""
    ((entry,), error) = read(Reader(max_entry=ALONE), feed([text]), 1 << 20)
    assert error is None
    return entry


def test_a_template_reads_the_other_entries_of_a_regular_feed() -> None:
    template = template_of(REGULAR[3], alone(REGULAR[3]), alone, lambda entry: entry)
    assert template is not None
    for text in REGULAR:
        assert template.read(f"\n {text} ", 0) == (alone(text), len(text) + 2)
        assert template.read(text.replace("Ada", "A&#8212;da", 1), 0) is None
        assert template.read(text.replace("<email>", "<email> "), 0) is None
        assert template.read(text.removesuffix(">"), 0) is None


def test_a_template_keeps_few_people() -> None:
    def entry(number: int, size: int) -> str:
        return f"<entry><author><name>{number}</name><email>\U0001f600{'x' * size}</email></author></entry>"

    template = template_of(entry(0, 1), alone(entry(0, 1)), alone, lambda entry: entry)
    assert template is not None
    tracemalloc.start()
    try:
        for number in range(300):
            found = template.read(entry(number, 7000), 0)
            assert found is not None
            assert found[0].authors[0].name == str(number)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 200_000


@pytest.mark.parametrize("name", ["colleagues-6.0", "colleagues-hidden-emails-5.0", "invitations-4.5"])
def test_a_template_of_each_recorded_entry(name: str) -> None:
    document = Path(__file__).parents[1].joinpath("data", f"{name}.atom").read_text("utf-8")
    head, *texts = re.split(r"(?=<entry[ >])", document)
    end = texts[-1].index("</entry>") + len("</entry>")
    texts[-1], tail = texts[-1][:end], texts[-1][end:]

    def entry_of(text: str) -> Entry:
        (entry,) = Reader(max_entry=ALONE).feed(f"{head}{text}{tail}".encode())
        return entry

    for text in texts:
        template = template_of(text, entry_of(text), entry_of, lambda entry: entry)
        assert template is not None
        other = re.sub(r"(?<=<id>).*?(?=</id>)", "other", text)
        assert template.read(other, 0) == (entry_of(other), len(other))
        assert entry_of(other).id == "other"
