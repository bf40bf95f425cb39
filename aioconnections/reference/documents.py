"""Documents as the vendor shapes them, byte for byte where a recording shows it.

Profiles writes everything on one line, empty elements as ``<x></x>``, and declares some namespaces again and again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from aioconnections.records import Status

if TYPE_CHECKING:
    from aioconnections.records import Person
    from aioconnections.reference.dialect import Dialect
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.rules import Emails
    from aioconnections.reference.ties import Row

__all__ = ["Documents", "error_document", "error_page"]

_SN = "http://www.ibm.com/xmlns/prod/sn"
_ATOM = "http://www.w3.org/2005/Atom"
_ENTRY_ID = "tag:profiles.ibm.com,2006:entry"
_EDITABLE = ("telephoneNumber", "mobileNumber", "officeName", "description", "experience")
_SERVICES = ("forums", "blogs", "activities", "profiles", "files", "wikis", "communities")


class Documents:
    """The documents of one server, with links as the caller reaches it: `base` ends before ``/profiles``."""

    def __init__(self, directory: Directory, dialect: Dialect, emails: Emails) -> None:
        self._directory = directory
        self._dialect = dialect
        self._emails = emails

    def connection_entry(self, row: Row, base: str, *, with_message: bool) -> str:
        """The entry of a connection (protocol page "Connection entry content"), element order as recorded."""
        source, target = (self._person(self._directory.person(number)) for number in (row.source, row.target))
        # author and contributor are who made the row and who changed it last, whoever is source and target
        author = target if row.status is Status.PENDING else source
        contributor = target if row.status is not Status.UNCONFIRMED else source
        connection_id = self._directory.connection_id(row)
        link = f"{base}/profiles/atom/connection.do?connectionId={connection_id}"
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f'<entry xmlns:app="http://www.w3.org/2007/app" xmlns:thr="http://purl.org/syndication/thread/1.0"'
            f' xmlns:snx="{_SN}" xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns="{_ATOM}">'
            f"<id>{_ENTRY_ID}{connection_id}</id>"
            f'<title type="text">{escape(self._directory.person(row.target).name or "")}</title>'
            f"<updated>{_timestamp(row.updated)}</updated>"
            f'<category term="connection" scheme="{_SN}/type"></category>'
            f'<category term="colleague" scheme="{_SN}/connection/type"></category>'
            f'<category term="{row.status}" scheme="{_SN}/status"></category>'
            f"<author>{author}</author><contributor>{contributor}</contributor>"
            "<snx:connection>"
            f'<contributor xmlns:snx="{_SN}" snx:rel="{_SN}/connection/source">{source}</contributor>'
            f'<contributor xmlns:snx="{_SN}" snx:rel="{_SN}/connection/target">{target}</contributor>'
            "</snx:connection>"
            f'<content type="html">{escape(row.message) if with_message else ""}</content>'
            f'<link href="{escape(link)}" rel="self" type="application/atom+xml"></link>'
            f'<link href="{escape(link)}&amp;inclMessage=true" rel="edit" type="application/atom+xml"></link>'
            '<summary type="text"></summary></entry>'
        )

    def service_document(self, number: int, base: str, changed: int) -> str:
        """The service document of a person; no ``encoding`` in its declaration, whole hrefs percent-encoded."""
        person = self._directory.person(number)
        name, userid = escape(person.name or ""), str(person.userid)
        key = {"key": str(person.key), "lastMod": str(changed)}
        tags, colleagues, chain, kind = (
            f"{base}/profiles/atom/{resource}?{urlencode(query, quote_via=quote)}"
            for resource, query in (
                ("profileTags.do", {"targetKey": str(person.key), "lastMod": str(changed)}),
                ("connections.do", {"connectionType": "colleague", **key}),
                ("reportingChain.do", key),
                ("profileType.do", {"type": "default"}),
            )
        )
        profile = f"{base}/profiles/atom/profile.do?{urlencode({'userid': userid, 'output': 'vcard'}, quote_via=quote)}"
        fields = "".join(f'<snx:editableField name="{field}"></snx:editableField>' for field in _EDITABLE)
        links = (
            (tags, "tag-cloud", "application/atomcat+xml"),
            (colleagues, "connections/colleague", "application/atom+xml"),
            (chain, "reporting-chain", "application/atom+xml"),
            (kind, "profile-type", "application/profile-type+xml"),
            *((quote(f"{base}/{service}", safe=""), f"service/{service}", "text/html") for service in _SERVICES),
        )
        return (
            '<?xml version="1.0"?>'
            f'<service xmlns="http://www.w3.org/2007/app" xmlns:atom="{_ATOM}" xmlns:snx="{_SN}">'
            f'<atom:generator version="{self._dialect.generator}" uri="{_SN}">'
            "IBM Connections - Profiles</atom:generator>"
            f'<workspace><atom:title type="text">{name}</atom:title>'
            f'<collection href="{escape(profile)}"><atom:title type="text">{name}</atom:title>'
            f"<snx:userid>{escape(userid)}</snx:userid><snx:editableFields>{fields}</snx:editableFields></collection>"
            + "".join(
                f'<atom:link href="{escape(href)}" rel="{_SN}/{rel}" type="{media_type}"></atom:link>'
                for href, rel, media_type in links
            )
            + "</workspace></service>"
        )

    def _person(self, person: Person) -> str:
        """The children of a person construct."""
        email = f"<email>{escape(str(person.email))}</email>" if self._emails == "exposed" else ""
        guest = f"<snx:isExternal>{str(person.external).lower()}</snx:isExternal>" if self._dialect.knows_guests else ""
        return (
            f"<name>{escape(person.name or '')}</name><snx:userid>{escape(str(person.userid))}</snx:userid>"
            f"{email}<snx:userState>{person.state}</snx:userState>{guest}"
        )


def error_document(status: int, message: str, line_end: str) -> str:
    """The page that Profiles makes of an error: blank lines around the document, blanks around every text."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        *[""] * 8,
        f'<error xmlns="{_SN}">',
        *("\t<code>", f"\t\t{status}", "\t</code>"),
        *("\t<message>", f"\t\t{escape(message)}", "\t</message>"),
        *("\t<trace>", "\t\t", "\t</trace>"),
        "</error>",
        *[""] * 3,
    ]
    return line_end.join(lines)


def error_page(status: int, text: str) -> str:
    """The page of the application server, for what no application has answered."""
    return (
        f"<html><head><title>Error {status}</title></head>\n"
        f"<body><h1>Error {status}: {escape(text)}</h1><br><hr><i>IBM WebSphere Application Server</i></body></html>\n"
    )


def _timestamp(milliseconds: int) -> str:
    """``yyyy-MM-dd'T'HH:mm:ss.SSS'Z'``, as in every recording."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"
