"""The reader: when entries are returned, what is refused, and that the split into chunks does not matter."""

import copy
import pickle
from collections.abc import AsyncIterator

import attrs
import pytest

from aioconnections.atom import AtomPerson, Entry, Feed, Link, Reader, Text, read_document, read_entries
from aioconnections.errors import AtomError, UsageError

FEED = b'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:snx="http://www.ibm.com/xmlns/prod/sn">'
A = b"<entry><id>a</id></entry>"
B = b"<entry><id>b</id></entry>"


def read(document: bytes, size: int | None = None, **options: object) -> tuple[list[str | None], Feed | AtomError]:
    """Return the ids of the entries, and the feed or the error."""
    reader = Reader(**options)  # type: ignore[arg-type] # any option
    ids: list[str | None] = []
    size = size or max(len(document), 1)
    try:
        for start in range(0, len(document), size):
            ids += [entry.id for entry in reader.feed(document[start : start + size])]
        feed = reader.close()
    except AtomError as error:
        return ids, error
    return ids + [entry.id for entry in feed.entries], feed


def refused(document: bytes, size: int | None = None, **options: object) -> AtomError:
    _, error = read(document, size, **options)
    assert isinstance(error, AtomError)
    return error


class TestReturnedEntries:
    def test_an_entry_is_returned_with_the_tag_after_it(self) -> None:
        reader = Reader()
        assert reader.feed(FEED + A[:-1]) == []
        assert [entry.id for entry in reader.feed(A[-1:] + b"<entry>")] == ["a"]

    def test_an_entry_is_returned_with_its_last_byte_if_that_ends_a_chunk(self) -> None:
        reader = Reader()
        assert [entry.id for entry in reader.feed(FEED + A)] == ["a"]
        assert [entry.id for entry in reader.feed(B + b"</feed>")] == ["b"]
        assert reader.close().entries == ()

    def test_an_entry_that_contains_an_entry_is_returned_with_the_tag_after_it(self) -> None:
        inner = b"<entry><id>a</id><snx:x><entry><id>inner</id></entry></snx:x>"
        reader = Reader()
        assert reader.feed(FEED + inner) == []
        # Either entry may be the one that ends here.
        assert reader.feed(b"</entry>") == []
        assert [entry.id for entry in reader.feed(b"<entry>")] == ["a"]

    def test_a_lone_entry_is_returned_at_the_end(self) -> None:
        reader = Reader()
        assert reader.feed(b'<entry xmlns="http://www.w3.org/2005/Atom"><id>a</id></entry>') == []
        assert reader.head is None
        assert [entry.id for entry in reader.close().entries] == ["a"]
        assert reader.close() is reader.close()

    def test_the_head_is_known_before_the_entries(self) -> None:
        reader = Reader()
        before = reader.head
        reader.feed(FEED + b"<title>T</title><id>f</id><entry>")
        assert (before, reader.head) == (None, Feed(id="f", title=Text("T")))

    def test_metadata_after_the_entries_is_read(self) -> None:
        _, feed = read(FEED + A + b"<id>late</id></feed>")
        assert isinstance(feed, Feed)
        assert feed.id == "late"

    def test_a_closed_reader_takes_no_more(self) -> None:
        reader = Reader()
        reader.feed(FEED + b"</feed>")
        reader.close()
        with pytest.raises(UsageError, match="closed"):
            reader.feed(b"x")

    def test_records_can_be_pickled_and_copied(self) -> None:
        (entry,) = Reader().feed(FEED + b"<entry><id>a</id><snx:x y='z'>t</snx:x></entry>")
        assert pickle.loads(pickle.dumps(entry)) == entry  # noqa: S301 # our own
        assert copy.deepcopy(entry) == entry
        assert hash(entry) == hash(copy.deepcopy(entry))

    def test_a_record_cannot_be_changed(self) -> None:
        inside = b"<title/><content/><link/><category term=''/><author/><snx:connection/><snx:x/>"
        (entry,) = Reader().feed(FEED + b"<entry>" + inside + b"</entry>")
        made = (entry, entry.title, entry.content, entry.links[0], entry.categories[0], entry.authors[0])
        for record in (*made, entry.connection, entry.extensions[0], Entry()):
            kind = type(record)
            assert attrs.has(kind)
            for field in attrs.fields(kind):
                with pytest.raises(attrs.exceptions.FrozenInstanceError):
                    setattr(record, field.name, None)

    def test_a_record_that_was_read_is_one_that_was_made(self) -> None:
        (entry,) = Reader().feed(FEED + b"<entry><author><name>A</name></author><link href='b'/></entry>")
        assert entry == Entry(authors=(AtomPerson("A"),), links=(Link("b"),))
        assert type(entry) is Entry
        assert attrs.evolve(entry, id="c") == Entry(id="c", authors=(AtomPerson("A"),), links=(Link("b"),))


class TestFailure:
    def test_entries_before_it_are_returned_first(self) -> None:
        reader = Reader()
        assert [entry.id for entry in reader.feed(FEED + A + B + b"<1>")] == ["a", "b"]
        for _ in range(2):
            with pytest.raises(AtomError, match="not well-formed"):
                reader.feed(b"")
        with pytest.raises(AtomError, match="not well-formed"):
            reader.close()

    @pytest.mark.parametrize("size", [1, 7, None])
    def test_an_incomplete_feed_returns_its_complete_entries(self, size: int | None) -> None:
        for rest in (b"", b"<entr", b"<entry><id>", b" text", b"<!-- c", b"<![CDATA[", b"<?p"):
            ids, error = read(FEED + A + B + rest, size)
            assert ids == ["a", "b"]
            assert isinstance(error, AtomError)
            assert error.reason == "unexpected end of document"

    def test_it_says_where(self) -> None:
        error = refused(FEED + b"\n<entry>\n  <id>a</name></entry></feed>", 5)
        assert (error.reason, error.line, error.column, error.element) == ("mismatched tag", 3, 9, "id")

    def test_it_says_where_after_a_change_of_parsers(self) -> None:
        filler = (A + b" " * 45 + b"\r\n") * 30_000
        error = refused(FEED + filler + b"<entry>&nope;</entry></feed>")
        assert (error.reason, error.line, error.element) == ("undefined entity", 30_001, "entry")
        assert error.column == len(b"<entry>")
        error = refused(FEED + (A + b" " * 45) * 30_000 + b"<entry>&nope;</entry></feed>")
        assert (error.line, error.column) == (1, len(FEED + (A + b" " * 45) * 30_000 + b"<entry>"))

    def test_it_holds_no_text_of_the_document(self) -> None:
        error = refused(FEED + b"<entry>&hush;</entry></feed>")
        assert "hush" not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None

    def test_something_after_the_root(self) -> None:
        ids, error = read(FEED + A + b"</feed><more/>")
        assert ids == ["a"]
        assert isinstance(error, AtomError)
        assert error.reason == "junk after document element"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_http_says_utf_16_without_a_mark(encoding: str) -> None:
    document = (FEED + A + b"</feed>").decode().encode(encoding)
    assert read(document, 1, charset="UTF-16")[0] == ["a"]


def test_the_mark_outweighs_http_and_http_the_declaration() -> None:
    document = b'<?xml version="1.0" encoding="iso-8859-1"?>' + FEED + "<entry><id>é</id></entry></feed>".encode()
    assert read(b"\xef\xbb\xbf" + document, charset="us-ascii")[0] == ["é"]
    assert read(document, charset="utf-8")[0] == ["é"]
    assert read(document)[0] == ["Ã©"]


def test_text_full_of_marks() -> None:
    text = b"<entry>" + b"?!" * 500 + b"<?p?><!-- --><id>a</id></entry>"
    assert read(FEED + text + b"</feed>")[0] == ["a"]


class TestOtherDocuments:
    def test_only_a_declaration_is_an_empty_feed(self) -> None:
        declaration = b'<?xml version="1.0" encoding="UTF-8"?>'
        for document in (declaration, declaration + b"\n\n", b"\n" + declaration):
            for size in (1, None):
                assert read(document, size) == ([], Feed())
            assert read_document(document) is None

    @pytest.mark.parametrize("document", [b"", b"\n", b"   "])
    def test_an_empty_document_is_refused(self, document: bytes) -> None:
        assert refused(document).reason == "empty document"

    @pytest.mark.parametrize(
        "document",
        [
            b"<html><body><br></body></html>",
            b"<!DOCTYPE html><html lang=en>",
            b"\n\n<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>",
            b'<HTML xmlns="http://www.w3.org/1999/xhtml"/>',
            b"<!-- login --><html>",
        ],
    )
    @pytest.mark.parametrize("size", [1, None])
    def test_html_is_named(self, document: bytes, size: int | None) -> None:
        assert refused(document, size).reason == "expected XML, got an HTML page"
        with pytest.raises(AtomError, match="HTML"):
            read_document(document)

    def test_another_root(self) -> None:
        error = refused(b"<error xmlns='http://www.ibm.com/xmlns/prod/sn'><code/></error>")
        assert (error.reason, error.element) == ("root element is neither an Atom feed nor an Atom entry", "error")

    def test_a_feed_of_no_namespace_is_no_feed(self) -> None:
        assert refused(b"<feed/>").element == "feed"

    def test_blank_lines_may_stand_first(self) -> None:
        found = read_document(b'\r\n\n<?xml version="1.0"?>\n\n<x> a </x>\n')
        assert found is not None
        assert found.content == " a "


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.anyio
async def test_entries_of_a_stream() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (FEED, A + B, A, b"</feed>"):
            yield chunk

    assert [entry.id async for entry in read_entries(chunks())] == ["a", "b", "a"]

    async def lone() -> AsyncIterator[bytes]:
        yield b'<entry xmlns="http://www.w3.org/2005/Atom"><id>a</id></entry>'

    assert [entry.id async for entry in read_entries(lone(), Reader())] == ["a"]

    async def broken() -> AsyncIterator[bytes]:
        yield FEED + A + b"<1>"

    entries = read_entries(broken())
    assert (await anext(entries)).id == "a"
    with pytest.raises(AtomError):
        await anext(entries)


def test_markup_of_no_namespace_inside_of_xhtml_keeps_its_declarations() -> None:
    inner = b'One <b xmlns="">two<i xmlns="http://www.w3.org/1999/xhtml">three</i></b>'
    content = b'<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">' + inner + b"</div></content>"
    entry, _ = Reader().feed(FEED + b"<entry>" + content + b"</entry><entry/>")
    assert entry.content is not None
    assert entry.content.value == inner.decode()


@pytest.mark.parametrize("size", [None, 5_000, 1 << 14])
@pytest.mark.parametrize("looks_like", [b"<!-- <entry <entry> -->", b"<![CDATA[<entry <entry>]]>"])
def test_what_looks_like_entries_in_a_long_feed_is_none(looks_like: bytes, size: int | None) -> None:
    text = b"x" * 500 + looks_like + b"x" * 500
    entries = b"".join(b"<entry><id>%d</id><summary>%s</summary></entry>" % (number, text) for number in range(300))
    ids, feed = read(FEED + entries + b"</feed>", size)
    assert isinstance(feed, Feed)
    assert ids == [str(number) for number in range(300)]
