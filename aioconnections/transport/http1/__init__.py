"""HTTP/1.1 on the wire: bytes of a request out, bytes of an answer in. No socket, no clock, no waiting.

What must hold here, because nothing later can repair it:

- An answer ends where it ends. One without a body (to HEAD, 204, 304) is complete at its blank line whatever its
  head declares; what follows is surplus, is never read as anything, and bars the connection from further use.
- A head is accepted whole or not at all. llhttp checks the grammar of the fields and refuses contradictory framing;
  the status line, the line count, the size, and the two framing fields are checked here too, because llhttp lets odd
  versions, control bytes in the reason and unknown transfer codings pass, and cannot be told that an answer is to HEAD.
- Reasons are constants: they hold no byte of what was sent or received.

What this module does not know: which connection it is, when the time is up, whether a request may be repeated.
"""

from __future__ import annotations

from aioconnections.transport.http1.answer import Answer
from aioconnections.transport.http1.coding import Decoder
from aioconnections.transport.http1.head import BadAnswerError, Head
from aioconnections.transport.http1.request import constant_part, foreign_head, request_bytes

__all__ = ["Answer", "BadAnswerError", "Decoder", "Head", "constant_part", "foreign_head", "request_bytes"]
