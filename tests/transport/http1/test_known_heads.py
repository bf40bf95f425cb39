"""Heads that are derived from similar ones are as good as parsed ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.transport.http1 import known_heads
from aioconnections.transport.http1.head import Head, MalformedResponseError, parse_head
from aioconnections.transport.http1.known_heads import VOLATILE_FIELDS, read_head

# Fields of recorded responses to HEAD, in one spelling of each server, front end and proxy.
FIXED = [
    b"X-Profiles-Connection-Status: accepted",
    b"X-Profiles-Connection-Type: colleague",
    b"Content-Length: 0",
    b"content-type: application/atom+xml;charset=UTF-8",
    b"Connection: Keep-Alive",
    b"Connection: close",
    b"Transfer-Encoding: chunked",
    b'Cache-Control: private, max-age=600, no-cache="set-cookie, set-cookie2"',
    b"Vary: Accept-Encoding",
]
VOLATILE = [
    b"Date: Sat, 28 Nov 2026 20:36:04 GMT",
    b"date:Sat, 28 Nov 2026 20:36:05 GMT",
    b"DATE:",
    b"Set-Cookie: LtpaToken2=aB3/x+9=; Path=/; Domain=.example.com; Secure; HttpOnly",
    b"set-cookie: JSESSIONID=0000q:1; Path=/; HttpOnly",
    b"Set-Cookie: name=caf\xe9",
    b"Expires: Thu, 01 Dec 1994 16:00:00 GMT",
    b"Last-Modified: Fri, 27 Nov 2026 08:00:00 GMT",
    b"X-Request-Id: 6f1d",
    b"Keep-Alive: timeout=10, max=97",
    b"keep-alive: timeout=10",
    b"Keep-Alive: max=3",
]
ODD = [
    b"Date: \x00",
    b"Set-Cookie: a=\x7f",
    b"Expires : now",
    b" folded",
    b"\tSet-Cookie: folded",
    b"Date",
    b"Dates: many",
    b"Set-Cookie2: a=b",
    b"Date: 1\rSet-Cookie: a=b",
    b"Date: 1\nSet-Cookie: a=b",
    b"",
]
STATUS_LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 404 Not Found",
    b"HTTP/1.1 204 ",
    b"HTTP/1.1 103 Hints",
]


def raw(status_line: bytes, fields: list[bytes]) -> bytes:
    return b"\r\n".join([status_line, *fields, b"", b""])


def described(head: Head) -> tuple[object, ...]:
    response = head.empty_response
    names = {name.lower() for name, _ in response.fields} | VOLATILE_FIELDS
    values = {name: (response.get(name), response.get_all(name)) for name in names}
    return head.framing, head.idle_seconds, head.requests_left, response, values, response.is_own_form


def outcome(read: object, data: bytes) -> object:
    assert callable(read)
    try:
        return described(read(data))
    except MalformedResponseError as error:
        return str(error)


def forget() -> None:
    for memory in (known_heads.EQUAL_HEADS, known_heads.SIMILAR_HEADS, known_heads.TEMPLATES):
        memory.clear()


@st.composite
def similar_heads(draw: st.DrawFn) -> list[bytes]:
    """Heads that share their fixed fields and differ in the others."""
    status_line = draw(st.sampled_from(STATUS_LINES))
    fixed = draw(st.lists(st.sampled_from(FIXED), max_size=4))
    heads = []
    for _ in range(draw(st.integers(2, 4))):
        fields = list(fixed)
        for other in draw(st.lists(st.sampled_from(VOLATILE * 3 + ODD), max_size=5)):
            fields.insert(draw(st.integers(0, len(fields))), other)
        heads.append(raw(status_line, fields))
    return heads


@given(similar_heads())
def test_a_derived_head_is_the_parsed_one(heads: list[bytes]) -> None:
    forget()
    for data in heads + heads:
        assert outcome(read_head, data) == outcome(parse_head, data)


@given(similar_heads())
def test_a_head_that_matches_a_template_is_the_parsed_one(heads: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_heads, "_FREQUENT", 1)
        forget()
        for data in heads + heads:
            assert outcome(read_head, data) == outcome(parse_head, data)
        known_heads.EQUAL_HEADS.clear()
        for data in heads:  # by template
            assert outcome(read_head, data) == outcome(parse_head, data)


def frequent_heads() -> list[bytes]:
    """Heads of one kind, all of which have been read, so that the kind has a template."""
    forget()
    fields = [b"Date: 1", b"Vary: Cookie", b"Keep-Alive: timeout=10, max=9"]
    heads = [raw(b"HTTP/1.1 200 OK", [*fields, b"Set-Cookie: a=%d" % number]) for number in range(40)]
    for data in heads:
        read_head(data)
    return heads


def test_a_frequent_kind_of_head_is_not_cut_again(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = frequent_heads()
    monkeypatch.setattr(known_heads, "_CUT", None)
    assert [described(read_head(data)) for data in heads] == [described(parse_head(data)) for data in heads]


@pytest.mark.parametrize(
    "value",
    [b"\x00", b"\x7f", b"1\r2", b"1\n2", b"1\r", b"1\n", b"1\r\n\r\n", b"1\r\nVary: *", b"1\r\nConnection: close"],
)
def test_a_template_accepts_neither_a_further_line_nor_a_control_character(value: bytes) -> None:
    data = frequent_heads()[0].replace(b"a=0", value)
    assert outcome(read_head, data) == outcome(parse_head, data)


def test_a_template_from_an_empty_cookie_keeps_no_cookie_in_memory() -> None:
    forget()
    for _ in range(40):
        read_head(raw(b"HTTP/1.1 200 OK", [b"Set-Cookie:", b"Vary: *"]))
    assert known_heads.TEMPLATES
    read_head(raw(b"HTTP/1.1 200 OK", [b"Set-Cookie: LtpaToken2=secret", b"Vary: *"]))
    assert not known_heads.EQUAL_HEADS


def test_a_derived_head_has_its_own_date_cookie_and_keep_alive() -> None:
    forget()
    found = []
    for number in (1, 2, 3):
        fields = [
            b"Date: Sat, 28 Nov 2026 20:36:0%d GMT" % number,
            b"X-Profiles-Connection-Status: accepted",
            b"Set-Cookie: LtpaToken2=t%d" % number,
            b"Keep-Alive: timeout=10, max=%d" % number,
        ]
        head = read_head(raw(b"HTTP/1.1 200 OK", fields))
        response = head.empty_response
        found.append((response.get(b"date"), response.get_all(b"set-cookie"), head.requests_left))
        assert response.get(b"x-profiles-connection-status") == "accepted"
        assert [name for name, _ in response.fields] == [field.partition(b":")[0] for field in fields]
    assert found == [(f"Sat, 28 Nov 2026 20:36:0{n} GMT", [f"LtpaToken2=t{n}"], n) for n in (1, 2, 3)]


def test_a_derived_head_is_not_parsed_for_its_other_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    def data(number: int) -> bytes:
        return raw(b"HTTP/1.1 200 OK", [b"Set-Cookie: a=%d" % number, *FIXED[:2]])

    forget()
    read_head(data(1))
    monkeypatch.setattr(known_heads, "valid_fields", None)
    response = read_head(data(2)).empty_response
    assert response.get(b"x-profiles-connection-status") == "accepted"
    assert response.get_all(b"x-profiles-connection-status") == ["accepted"]
    assert response.is_own_form
    assert response.media_type == ""


def test_no_cookie_stays_in_memory() -> None:
    forget()
    for number in range(3):
        read_head(raw(b"HTTP/1.1 200 OK", [b"Set-Cookie: LtpaToken2=secret%d" % number, b"Vary: *"]))
    assert not known_heads.EQUAL_HEADS
    (head,) = known_heads.SIMILAR_HEADS.values()
    assert head.fields == ((b"Vary", b"*"),)


def test_volatile_fields_count_towards_the_limit() -> None:
    forget()
    for count, accepted in ((1, True), (256, True), (257, False)):
        result = outcome(read_head, raw(b"HTTP/1.1 200 OK", [b"Date: 1"] * count))
        assert (result == "the response head has more than 256 fields") is not accepted


def test_the_memory_is_bounded() -> None:
    forget()
    for number in range(1000):
        read_head(raw(b"HTTP/1.1 200 OK", [b"Server: %d" % number, b"Keep-Alive: max=%d" % number]))
        read_head(raw(b"HTTP/1.1 200 OK", [b"Server: %b" % (b"long" * number)]))
        for _ in range(40 if number < 10 else 0):
            read_head(raw(b"HTTP/1.1 200 OK", [b"Server: %d" % number, b"Set-Cookie: a"]))
    for number in range(1000):
        read_head(raw(b"HTTP/1.1 200 OK", [b"Keep-Alive: max=%d" % number]))
    memories = (known_heads.EQUAL_HEADS, known_heads.SIMILAR_HEADS, known_heads.KEEP_ALIVES)
    assert all(0 < len(memory) <= 256 for memory in memories)
    assert all(len(key) <= 1024 for memory in memories for key in memory)
    assert len(known_heads.TEMPLATES) == 4
