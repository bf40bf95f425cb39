"""The Profiles service document (protocol page "Retrieving the Profiles service document")."""

from __future__ import annotations

import re
from urllib.parse import unquote

from aioconnections.atom import read_document
from aioconnections.errors import AtomError
from aioconnections.protocol.entries import SN, identity, query_value
from aioconnections.records import Key, ServiceDocument, Userid

__all__ = ["COLLEAGUES_REL", "service_document"]

COLLEAGUES_REL = f"{SN}/connections/colleague"

_APP = "{http://www.w3.org/2007/app}"
_LINK = "{http://www.w3.org/2005/Atom}link"
_USERID = f"{{{SN}}}userid"
_ENCODED = re.compile(r"https?%3a%2f%2f", re.IGNORECASE)


def service_document(body: bytes, *, charset: str | None = None) -> ServiceDocument | None:
    """Read a service document.

    Args:
        body: as it came.
        charset: of the HTTP ``Content-Type``, or None.

    Returns:
        what it says, or None if it is only an XML declaration: nobody.

    Raises:
        AtomError: it is no service document.
    """
    service = read_document(body, charset=charset, strict=False)
    if service is None:
        return None
    if service.tag != f"{_APP}service":
        raise AtomError("not a service document")
    links = tuple(
        (element.get("rel") or "alternate", _decoded((element.get("href") or "").strip()))
        for element in service.walk()
        if element.tag == _LINK
    )
    userid = next((element.content for element in service.walk() if element.tag == _USERID), None)
    colleagues = next((href for rel, href in links if rel == COLLEAGUES_REL), None)
    # The person's own key is nowhere but in the links (protocol: service document).
    candidates = [colleagues, *(href for _, href in links)]
    key = next((key for key in (query_value(href, "key", "targetKey") for href in candidates) if key), None)
    return ServiceDocument(
        userid=identity(Userid, (userid or "").strip()),
        key=identity(Key, key),
        colleagues_href=colleagues,
        links=links,
    )


def _decoded(href: str) -> str:
    """Links to other applications come percent-encoded as a whole (protocol: ``…/sn/service/*``)."""
    return unquote(href) if _ENCODED.match(href) else href
