"""Namespaces in braces, as in the ``{namespace}name`` form that identifies every element and attribute.

Prefixes are never compared: servers bind one namespace to two prefixes and declare it again on inner elements.
"""

from __future__ import annotations

__all__ = [
    "APP",
    "ATOM",
    "FH",
    "OPENSEARCH",
    "SNX",
    "THR",
    "XHTML",
    "XML",
    "XML_BASE",
    "XML_LANG",
    "local",
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


def local(tag: str) -> str:
    """Return the name without its namespace."""
    return tag.rpartition("}")[2]
