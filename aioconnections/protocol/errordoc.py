"""Error documents, in the dialects of the applications.

Profiles and Communities write ``<error>`` in the vendor's namespace, with blank lines around it and around every text,
Communities without an XML declaration; Activities adds ``displaymessage`` and ``errortype``; Files has elements and a
namespace of its own.
"""

from __future__ import annotations

import re

from aioconnections.atom import read_document
from aioconnections.errors import AtomError
from aioconnections.protocol.entries import SN
from aioconnections.records import ErrorDocument

__all__ = ["error_document"]

_NAMES = {
    f"{{{SN}}}": ("code", ("message", "displaymessage")),
    "{urn:ibm.com/td}": ("errorCode", ("errorMessage",)),
}
_MESSAGE_ID = re.compile(r"[A-Z]{3,10}\d{3,5}[A-Z]\b")


def error_document(body: bytes, *, charset: str | None = None) -> ErrorDocument | None:
    """Read what the server says of a failure.

    Args:
        body: as it came.
        charset: of the HTTP ``Content-Type``, or None.

    Returns:
        what it says, or None if the body is something else, for example an HTML page: the HTTP status stands.
    """
    try:
        error = read_document(body, charset=charset, strict=False)
    except AtomError:
        return None
    if error is None:
        return None
    space, _, name = error.tag.rpartition("}")
    names = _NAMES.get(f"{space}}}")
    if name != "error" or names is None:
        return None
    said = {child.tag.rpartition("}")[2]: child.content.strip() for child in error.children}
    code, messages = names
    message = next((said[name] for name in messages if said.get(name)), "")
    found = _MESSAGE_ID.match(message)
    return ErrorDocument(said.get(code) or None, message, found[0] if found else None)
