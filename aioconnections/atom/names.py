"""Namespaces in braces, as in the ``{namespace}name`` form that identifies every element and attribute.

Prefixes are never compared: servers bind one namespace to two prefixes and declare it again on inner elements.
"""

from __future__ import annotations

__all__ = [
    "APP",
    "ATOM",
    "CONNECTION_SOURCE",
    "CONNECTION_TARGET",
    "FH",
    "OPENSEARCH",
    "SNX",
    "SNX_REL",
    "THR",
    "XHTML",
    "XML",
    "XML_BASE",
    "XML_LANG",
    "local",
    "shown",
]

ATOM = "{http://www.w3.org/2005/Atom}"
APP = "{http://www.w3.org/2007/app}"
SNX = "{http://www.ibm.com/xmlns/prod/sn}"
OPENSEARCH = "{http://a9.com/-/spec/opensearch/1.1/}"
THR = "{http://purl.org/syndication/thread/1.0}"
FH = "{http://purl.org/syndication/history/1.0}"
XHTML = "{http://www.w3.org/1999/xhtml}"
XML = "{http://www.w3.org/XML/1998/namespace}"
XML_BASE = f"{XML}base"
XML_LANG = f"{XML}lang"

# ``snx:rel`` and its values for the two people of a connection.
SNX_REL = f"{SNX}rel"
CONNECTION_SOURCE = "http://www.ibm.com/xmlns/prod/sn/connection/source"
CONNECTION_TARGET = "http://www.ibm.com/xmlns/prod/sn/connection/target"

_MAX_SHOWN = 64


def local(tag: str) -> str:
    """Return the name without its namespace."""
    return tag.rpartition("}")[2]


def shown(tag: str) -> str:
    """Return the name without its namespace, shortened for an error."""
    return local(tag)[:_MAX_SHOWN]
