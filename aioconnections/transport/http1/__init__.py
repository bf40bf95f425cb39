"""HTTP/1.1 on the wire: request to bytes, bytes to response. No socket, no clock, no waiting.

Rules that are enforced here, because later code cannot check them:

- A response ends where its framing says. One without a body (to HEAD, 204, 304) is complete at its blank line,
  even if its head declares one. Further bytes are surplus: they are never parsed and bar the connection from reuse.
- A head is accepted as a whole or refused. llhttp checks the grammar of the fields and refuses contradictory framing.
  The status line, the line count, the size and the two framing fields are checked here too, because llhttp accepts odd
  versions, control bytes in the reason and unknown transfer codings, and has no option for a response to HEAD.
- Failure reasons contain no byte that was sent or received.

This package does not know which connection it serves, when a deadline passes, or whether a request may be repeated.
"""

from __future__ import annotations

from aioconnections.transport.http1.body import LARGEST_BODY, Decoder, body_too_large
from aioconnections.transport.http1.head import NOT_HTTP, Head, MalformedResponseError
from aioconnections.transport.http1.request import constant_part, foreign_head, request_bytes
from aioconnections.transport.http1.response import CLOSED_EARLY, NOT_HTTP_BUT_TLS, ResponseReader

__all__ = [
    "CLOSED_EARLY",
    "LARGEST_BODY",
    "NOT_HTTP",
    "NOT_HTTP_BUT_TLS",
    "Decoder",
    "Head",
    "MalformedResponseError",
    "ResponseReader",
    "body_too_large",
    "constant_part",
    "foreign_head",
    "request_bytes",
]
