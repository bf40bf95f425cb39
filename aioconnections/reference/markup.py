"""XML vocabulary that all documents share: namespaces, dates, links and person constructs."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioconnections.records import Person
    from aioconnections.reference.settings import Settings

__all__ = ["ATOM", "DECLARATION", "OPENSEARCH", "SN", "address", "person_construct", "timestamp"]

SN = "http://www.ibm.com/xmlns/prod/sn"
ATOM = "http://www.w3.org/2005/Atom"
OPENSEARCH = "http://a9.com/-/spec/opensearch/1.1/"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def timestamp(milliseconds: int) -> str:
    """Milliseconds since 1970 as ``yyyy-MM-dd'T'HH:mm:ss.SSS'Z'``, as in all recordings."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


def address(path: str, query: Mapping[str, str]) -> str:
    """A URL, not escaped for XML. As in the product, spaces are ``%20`` and commas ``%2C``."""
    return f"{path}?{urlencode(query, quote_via=quote, safe='')}" if query else path


def person_construct(person: Person, settings: Settings) -> str:
    """The children of a person construct, without an e-mail address if addresses are hidden."""
    email = f"<email>{escape(str(person.email))}</email>" if settings.emails == "exposed" else ""
    external = str(person.external).lower()
    guest = f"<snx:isExternal>{external}</snx:isExternal>" if settings.dialect.has_guests else ""
    return (
        f"<name>{escape(person.name or '')}</name><snx:userid>{escape(str(person.userid))}</snx:userid>"
        f"{email}<snx:userState>{person.state}</snx:userState>{guest}"
    )
