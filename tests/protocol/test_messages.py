"""What cannot be sent cannot be made, and nothing shows what it must not."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.errors import InvalidInputError
from aioconnections.protocol.messages import NO_HEADERS, Headers, Origin, Request, Response

SECRET = "Basic c2VjcmV0"


def test_headers_are_written_once_as_http_writes_them() -> None:
    headers = Headers([("X-A", "1"), ("X-B", ""), ("X-C", "a b\tc"), ("X-D", "ä")])
    assert headers.wire == b"X-A: 1\r\nX-B: \r\nX-C: a b\tc\r\nX-D: \xe4\r\n"
    assert list(headers) == [("X-A", "1"), ("X-B", ""), ("X-C", "a b\tc"), ("X-D", "ä")]
    assert len(headers) == 4
    assert NO_HEADERS.wire == b""


def test_names_are_compared_without_regard_to_case() -> None:
    headers = Headers([("X-One", "1"), ("x-one", "2")])
    assert headers.get("X-ONE") == "1"
    assert headers.get("x-two") is None


def test_headers_add_up_in_order_and_compare_by_value() -> None:
    both = Headers([("A", "1")]) + Headers([("B", "2")])
    assert both == Headers([("A", "1"), ("B", "2")])
    assert hash(both) == hash(Headers([("A", "1"), ("B", "2")]))
    assert both != Headers([("A", "1")])
    assert both != [("A", "1"), ("B", "2")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "1\r\nX-B: 2"),
        ("X-A", "1\nX-B: 2"),
        ("X-A", "1\r"),
        ("X-A", "1\n"),
        ("X-A", "a\x00b"),
        ("X-A", "a\x7fb"),
        ("X-A", " leading"),
        ("X-A", "trailing "),
        ("X-A", "€"),
        ("X-A", "\ud800"),
        ("X-A\n", "1"),
        ("X-A:", "1"),
        ("X A", "1"),
        ("", "1"),
        ("Ä", "1"),
    ],
)
def test_what_could_split_a_header_is_refused(name: str, value: str) -> None:
    problem = "the value of the header X-A contains" if name == "X-A" else "a header name must be a token"
    with pytest.raises(InvalidInputError, match=problem):
        Headers([(name, value)])


@given(st.text(max_size=8), st.text(max_size=8))
def test_a_header_is_one_line_or_refused(name: str, value: str) -> None:
    try:
        wire = Headers([(name, value)]).wire
    except InvalidInputError:
        return
    assert wire.endswith(b"\r\n")
    assert not {*b"\r\n\x00"} & {*wire[:-2]}
    assert wire[:-2].partition(b": ")[::2] == (name.encode("latin-1"), value.encode("latin-1"))


@pytest.mark.parametrize("show", [repr, str, format, "{!r}".format, "%s".__mod__])
def test_headers_show_names_only(show: Callable[[object], str]) -> None:
    headers = Headers([("Authorization", SECRET)])
    assert show(headers) == "Headers(Authorization)"
    assert SECRET not in show((Request("GET", "/", headers),))


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, vars])
def test_headers_are_neither_pickled_nor_copied(leak: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        leak(Headers([("Authorization", SECRET)]))


@pytest.mark.parametrize(
    ("origin", "authority", "url"),
    [
        (Origin("https", "a.example", 443), "a.example", "https://a.example"),
        (Origin("http", "a.example", 80), "a.example", "http://a.example"),
        (Origin("http", "a.example", 443), "a.example:443", "http://a.example:443"),
        (Origin("https", "::1", 8443), "[::1]:8443", "https://[::1]:8443"),
        (Origin("https", "::1", 443), "[::1]", "https://[::1]"),
    ],
)
def test_an_origin_names_its_port_where_it_is_not_the_schemes_own(origin: Origin, authority: str, url: str) -> None:
    assert (origin.authority, str(origin)) == (authority, url)


def test_a_request_shows_its_path_and_no_more() -> None:
    request = Request("POST", "/profiles?email=amy%40example.com", Headers([("Cookie", "x")]), b"private words")
    assert request.path == "/profiles"
    shown = "method='POST', target='/profiles', headers=Headers(Cookie), once=False, delay=0.0, fresh=False"
    assert repr(request) == f"Request({shown}, anonymous=False)"


@pytest.mark.parametrize(
    "target",
    ["", "profiles", "http://other.example/", "/a b", "/a\r\nX: y", "/a\n", "/a\x00", "/ä", "/a#b", "*", "/a\x7f"],
)
def test_what_could_break_the_request_line_is_refused(target: str) -> None:
    with pytest.raises(InvalidInputError, match="target"):
        Request("GET", target)


@pytest.mark.parametrize("method", ["", "get", "PATCH", "CONNECT", "GET /x HTTP/1.1\r\nHost: evil\r\n\r\nGET", "GET\n"])
def test_a_method_is_one_of_five(method: str) -> None:
    with pytest.raises(InvalidInputError, match="DELETE, GET, HEAD, POST, PUT, got '"):
        Request(method, "/")


@pytest.mark.parametrize("method", ["HEAD", "GET", "POST", "PUT", "DELETE"])
def test_the_five_methods(method: str) -> None:
    assert Request(method, "/?a=%20&b='\"!~").method == method


def test_a_response_gives_its_fields() -> None:
    response = Response(
        200, ((b"X-One", b"  a "), (b"x-one", b"b"), (b"Content-Type", b" Text/HTML ; charset=UTF-8")), b"private"
    )
    assert response.get(b"x-one") == "a"
    assert response.get_all(b"x-one") == ["a", "b"]
    assert response.get(b"x-two") is None
    assert response.get_all(b"x-two") == []
    assert response.media_type == "text/html"
    assert Response(200, ()).media_type == ""
    assert repr(response) == "Response(status=200)"


def test_responses_compare_by_value() -> None:
    found = Response(200, [(b"Date", b"x")], b"<a/>")
    assert found == Response(200, ((b"Date", b"x"),), b"<a/>")
    assert hash(found) == hash(Response(200, [(b"Date", b"x")], b"<a/>"))
    assert found not in [Response(200), Response(201, [(b"Date", b"x")], b"<a/>"), 200]
    assert repr(found) == "Response(status=200)"
