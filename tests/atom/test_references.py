"""Relative references: RFC 3986, and their limits."""

import re
import tracemalloc
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.atom import Reader
from aioconnections.errors import AtomError

FEED = '<feed xmlns="http://www.w3.org/2005/Atom" xml:base="{base}">'


def resolved(base: str, *references: str) -> list[str]:
    links = "".join(f'<link href="{reference}"/>' for reference in references)
    (entry,) = Reader().feed(f"{FEED.format(base=base)}<entry>{links}</entry>".encode())
    return [link.href for link in entry.links]


# RFC 3986 section 5.4
EXAMPLES = re.split(
    " ",
    "g:h g ./g g/ /g //g ?y g?y #s g#s g?y#s ;x g;x g;x?y#s . ./ .. ../ ../g ../.. ../../ ../../g ../../../g "
    "../../../../g /./g /../g g. .g g.. ..g ./../g ./g/. g/./h g/../h g;x=1/./y g;x=1/../y g?y/./x g?y/../x "
    "g#s/./x g#s/../x",
)


def test_the_examples_of_rfc_3986() -> None:
    assert resolved("http://a/b/c/d;p?q", *EXAMPLES) == [urljoin("http://a/b/c/d;p?q", each) for each in EXAMPLES]
    assert resolved("http://a/b/c/d;p?q#f", "") == ["http://a/b/c/d;p?q"]
    assert resolved("http://a", "g", "?y", "", "..") == ["http://a/g", "http://a?y", "http://a", "http://a/"]
    assert resolved("http://a/b/../c/./d", "e", "../e") == ["http://a/c/e", "http://a/e"]


@pytest.mark.parametrize("base", ["urn:x:y", "mailto:a@example.com", "relative/", "1://h/"])
def test_what_has_no_host_is_no_base(base: str) -> None:
    assert resolved(base, "x", "/x", "", "https://example.com/") == ["x", "/x", "", "https://example.com/"]


def test_hosts_in_brackets() -> None:
    good = ["//[::1]/x", "//u@[::1]:80", "//[2001:db8::1]?q"]
    assert resolved("https://h/", *good) == [f"https:{each}" for each in good]
    bad = ["//[", "//]x/", "//[::1", "//[::1]x/", "//[v1.x]/"]
    assert resolved("https://h/", *bad) == bad


@given(
    st.lists(st.sampled_from(["/", "a", ".", "..", "b/"]), max_size=5).map("".join),
    st.lists(st.sampled_from(["/", "a", ".", "..", "?q", "#f", "b/"]), min_size=1, max_size=5).map("".join),
)
def test_as_the_standard_library_does(path: str, reference: str) -> None:
    base = f"http://h/{path}"
    if "//" not in path + reference and not path.startswith("/"):  # urljoin is wrong there
        found = resolved(base, reference)[0]
        assert found.rstrip("?#") == urljoin(base, reference).rstrip("?#")


LONG = "http://h/" + "b" * 8183  # 8,192 characters


def test_a_base_has_8192_characters_at_most() -> None:
    assert resolved(LONG, "/x") == ["http://h/x"]
    with pytest.raises(AtomError, match="base URI longer than 8192 characters"):
        resolved(LONG + "b", "x")
    reader = Reader(base=LONG + "b")
    with pytest.raises(AtomError, match="base URI longer than 8192 characters"):
        reader.feed(b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="x"/></entry>')


def test_a_reference_resolves_to_8192_characters_at_most() -> None:
    assert len(resolved("http://h/", "b" * 8183)[0]) == 8192
    with pytest.raises(AtomError, match="reference resolves to more than 8192 characters"):
        resolved("http://h/", "b" * 8184)
    inner = "b" * 8184
    reader = Reader()
    with pytest.raises(AtomError, match="reference resolves to more than 8192 characters"):
        reader.feed(f"{FEED.format(base='http://h/')}<entry xml:base='{inner}'/>".encode())


@pytest.mark.parametrize(
    "inside",
    [
        "<entry>" + "<link href='x'/>" * 400 + "</entry>",
        "<entry>" + "<author><uri>x</uri></author>" * 200 + "</entry>",
        "<entry><content src='x'/></entry>" * 50,
        "<entry><title xml:base='x'/></entry>" * 50,
        "<entry><source><icon>x</icon></source></entry>" * 50,
        "<entry>" + "<link href='../x'/>" * 400 + "</entry>",
    ],
)
def test_references_to_a_long_base_have_a_budget(inside: str) -> None:
    base = "http://h/" + "a/" * 4000
    reader, seen = Reader(max_density=1 << 14), 0
    reader.feed(FEED.format(base=base).encode())
    tracemalloc.start()
    try:
        with pytest.raises(AtomError, match="relative references resolve to too many characters"):  # noqa: PT012 # any of the calls may raise
            for _ in range(100):
                seen += len(reader.feed(inside.encode()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 << 20
    assert seen < 600


@pytest.mark.slow
def test_an_ordinary_feed_never_exhausts_the_budget() -> None:
    reader = Reader(base="https://connections.example.com/profiles/atom/connections.do")
    reader.feed(b'<feed xmlns="http://www.w3.org/2005/Atom">')
    entries = b"<entry>" + b"<link href='../photo.do?key=1'/>" * 20 + b"</entry>"
    for _ in range(30):
        (*_, entry) = reader.feed(entries * 100)
        assert entry.links[-1].href == "https://connections.example.com/profiles/photo.do?key=1"


def test_reading_the_head_does_not_use_the_budget() -> None:
    reader = Reader()
    reader.feed((FEED.format(base=LONG[:8000]) + "<link href='?x'/>" * 100 + "<entry/>").encode())
    for _ in range(5):
        assert reader.head is not None
    assert len(reader.feed(b"<entry><link href='?y'/></entry></feed>")) == 1
