"""Properties: the split of the bytes does not matter, and h11 agrees."""

from __future__ import annotations

import h11
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.transport.http1 import ResponseReader

_TOKEN = st.text("!#$%&'*+-.^_`|~0123456789abcXYZ", min_size=1, max_size=12)
_VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
_FRAMING = {"content-length", "transfer-encoding", "connection", "content-encoding", "upgrade"}
_METHODS = st.sampled_from(["HEAD", "GET", "POST", "PUT", "DELETE"])


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A valid response with any framing."""
    status = draw(st.sampled_from([200, 201, 204, 304, 400, 404, 503]))
    fields = [(n, v) for n, v in draw(st.lists(st.tuples(_TOKEN, _VALUE), max_size=5)) if n.lower() not in _FRAMING]
    body = draw(st.binary(max_size=60))
    chunked = draw(st.booleans())
    fields.append(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body))))
    if draw(st.booleans()):
        fields.append(("Connection", draw(st.sampled_from(["close", "keep-alive"]))))
    informational = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * draw(st.integers(0, 2))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    if chunked:
        cut = draw(st.integers(0, len(body)))
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:]) if part)
        body = chunks + b"0\r\n\r\n"
    return informational + f"HTTP/1.1 {status} Reason\r\n{lines}\r\n".encode() + body


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A response with a few bytes inserted, removed or replaced."""
    data = bytearray(draw(responses()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.sampled_from([b"", b"\r\n", b"\n", b"\0", b" ", b"0", b"X:"]))
    return bytes(data)


@st.composite
def cuts(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    whole = draw(data)
    at = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *at], [*at, len(whole)], strict=True)]
    return whole, [piece for piece in pieces if piece]


def read(method: str, pieces: list[bytes]) -> ResponseReader:
    reader = ResponseReader(method, limit=10_000)
    for piece in pieces:
        reader.feed(piece)
    return reader


@given(_METHODS, cuts(st.one_of(responses(), mangled())))
def test_any_split_gives_the_same_response(method: str, cut: tuple[bytes, list[bytes]]) -> None:
    data, pieces = cut
    whole, split = read(method, [data]), read(method, pieces)
    assert (whole.done, whole.status) == (split.done, split.status)
    assert (whole.failure is None) == (split.failure is None)
    if whole.done:
        assert whole.response() == split.response()
        assert (whole.persistent, whole.surplus) == (split.persistent, split.surplus)


def second_opinion(method: str, data: bytes) -> tuple[int, bytes] | None:
    """The status and body that h11 reads, or None if the response is not complete."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=64 * 1024)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "h"), ("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    status, body = 0, b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return None
        match event:
            case h11.Response():
                status = event.status_code
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                return status, body
            case h11.InformationalResponse():
                pass
            case _:
                return None


@given(_METHODS, responses())
def test_what_is_valid_reads_as_h11_reads_it(method: str, data: bytes) -> None:
    reader = read(method, [data])
    assert (reader.status, reader.response().body) == second_opinion(method, data)


@given(_METHODS, mangled())
def test_what_is_accepted_reads_as_h11_reads_it(method: str, data: bytes) -> None:
    """We may refuse what h11 accepts; what both accept must mean the same."""
    reader = read(method, [data])
    other = second_opinion(method, data)
    if reader.done and other is not None:
        assert (reader.status, reader.response().body) == other


@given(_METHODS, st.binary(max_size=200))
def test_noise_is_never_a_response(method: str, data: bytes) -> None:
    reader = read(method, [data] if data else [])
    assert not reader.done
