"""Laws: how the bytes are cut does not matter, and h11 does not see it otherwise."""

from __future__ import annotations

import h11
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.transport.http1 import Answer

_TOKEN = st.text("!#$%&'*+-.^_`|~0123456789abcXYZ", min_size=1, max_size=12)
_VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
_FRAMING = {"content-length", "transfer-encoding", "connection", "content-encoding", "upgrade"}
_METHODS = st.sampled_from(["HEAD", "GET", "POST", "PUT", "DELETE"])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A valid answer, framed in any of the ways there are."""
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
    """An answer with a few bytes put in, taken out or replaced."""
    data = bytearray(draw(answers()))
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


def read(method: str, pieces: list[bytes]) -> Answer:
    answer = Answer(method, limit=10_000)
    for piece in pieces:
        answer.feed(piece)
    return answer


@given(_METHODS, cuts(st.one_of(answers(), mangled())))
def test_any_split_gives_the_same_answer(method: str, cut: tuple[bytes, list[bytes]]) -> None:
    data, pieces = cut
    whole, split = read(method, [data]), read(method, pieces)
    assert (whole.done, whole.status) == (split.done, split.status)
    assert (whole.failure is None) == (split.failure is None)
    if whole.done:
        assert whole.response() == split.response()
        assert (whole.persistent, whole.surplus) == (split.persistent, split.surplus)


def second_opinion(method: str, data: bytes) -> tuple[int, bytes] | None:
    """What h11 reads, or None if it is not a complete answer."""
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


@given(_METHODS, answers())
def test_what_is_valid_reads_as_h11_reads_it(method: str, data: bytes) -> None:
    answer = read(method, [data])
    assert (answer.status, answer.response().body) == second_opinion(method, data)


@given(_METHODS, mangled())
def test_what_is_accepted_reads_as_h11_reads_it(method: str, data: bytes) -> None:
    """We may refuse what h11 takes; what both take must mean the same."""
    answer = read(method, [data])
    other = second_opinion(method, data)
    if answer.done and other is not None:
        assert (answer.status, answer.response().body) == other


@given(_METHODS, st.binary(max_size=200))
def test_noise_is_never_an_answer(method: str, data: bytes) -> None:
    answer = read(method, [data] if data else [])
    assert not answer.done
