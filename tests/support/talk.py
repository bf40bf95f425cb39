"""Drives conversations with a list of responses, without any transport."""

from __future__ import annotations

from typing import TypeVar

from aioconnections.protocol.messages import Flow, Request, Response

__all__ = ["ATOM", "ERROR", "HTML", "answer", "error", "talk", "targets"]

R = TypeVar("R")

ATOM = "application/atom+xml;charset=UTF-8"
ERROR = "text/xml;charset=UTF-8"
HTML = "text/html"


def answer(status: int, body: bytes | str = b"", kind: str = ERROR, **fields: str) -> Response:
    content = body.encode() if isinstance(body, str) else body
    named = [("Content-Type", kind), ("Content-Length", str(len(content))), *fields.items()]
    return Response(status, tuple((name.encode(), value.encode()) for name, value in named), content)


def error(status: int, message: str, code: str = "") -> Response:
    """An error document in the form of Profiles: blank lines around it, and white space around its texts."""
    return answer(
        status,
        f'<?xml version="1.0" encoding="UTF-8"?>\n\n\n<error xmlns="http://www.ibm.com/xmlns/prod/sn">\n'
        f"<code>\n\t{code}\n</code><message>\n\t{message}\n</message><trace>\n</trace></error>\n\n",
    )


def talk(flow: Flow[R], *answers: Response | Exception) -> tuple[R, list[Request]]:
    """The result of a conversation that sends exactly one request per response, and these requests."""
    asked: list[Request] = []
    try:
        asked.append(next(flow))
        for given in answers:
            request = flow.throw(given) if isinstance(given, Exception) else flow.send(given)
            asked.append(request)
    except StopIteration as stop:
        assert len(asked) == len(answers), "the conversation ended before all responses were used"
        result: R = stop.value
        return result, asked
    raise AssertionError(f"the conversation sent another request: {asked[-1].method} {asked[-1].target}")


def targets(asked: list[Request]) -> list[str]:
    return [f"{request.method} {request.target}" for request in asked]
