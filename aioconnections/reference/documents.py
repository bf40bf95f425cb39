"""Documents of Profiles as the vendor shapes them, byte for byte where a recording shows it.

Profiles writes everything on one line, empty elements as ``<x></x>``, and declares some namespaces again and again.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from attrs import frozen

from aioconnections.records import Status
from aioconnections.reference.cards import CHANGED, Card, profile_entry
from aioconnections.reference.markup import ATOM, DECLARATION, OPENSEARCH, SN, address, person_construct, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aioconnections.reference.directory import Directory
    from aioconnections.reference.lookup import Page
    from aioconnections.reference.settings import Settings
    from aioconnections.reference.ties import Row

__all__ = ["Documents", "Feed", "error_document", "error_page"]

_ENTRY_ID = "tag:profiles.ibm.com,2006:entry"
_NAMESPACES = (
    f'xmlns:app="http://www.w3.org/2007/app" xmlns:thr="http://purl.org/syndication/thread/1.0"'
    f' xmlns:fh="http://purl.org/syndication/history/1.0" xmlns:snx="{SN}" xmlns:opensearch="{OPENSEARCH}"'
    f' xmlns="{ATOM}"'
)
_EDITABLE = ("telephoneNumber", "mobileNumber", "officeName", "description", "experience")
_SERVICES = ("forums", "blogs", "activities", "profiles", "files", "wikis", "communities")
_COMPLETE = "<fh:complete></fh:complete>"


class Feed(NamedTuple):
    """What stands around the entries of a feed.

    Attributes:
        title: its title.
        path: path of its own address.
        query: the parameters that it was asked with, to be said again in its links.
        page: what part of the list it is; None says nothing of pages.
        now: milliseconds since 1970: a feed has always just been updated.
        links: further links.
    """

    title: str
    path: str
    query: Mapping[str, str]
    page: Page | None
    now: int
    links: str = ""


@frozen
class Documents:
    """The documents of one server, with links as the caller reaches it: `base` ends before ``/profiles``."""

    directory: Directory
    settings: Settings

    def connection(self, row: Row, base: str, *, with_message: bool) -> str:
        """The entry of a connection as a document."""
        return f"{DECLARATION}<entry {_NAMESPACES}>{self.connection_content(row, base, with_message=with_message)}"

    def connection_content(self, row: Row, base: str, *, with_message: bool) -> str:
        """The entry of a connection (protocol page "Connection entry content"), element order as recorded."""
        people = [self.directory.person(number) for number in (row.source, row.target)]
        source, target = (person_construct(person, self.settings) for person in people)
        # author and contributor are who made the row and who changed it last, whoever is source and target
        author = target if row.status is Status.PENDING else source
        contributor = target if row.status is not Status.UNCONFIRMED else source
        connection_id = self.directory.connection_id(row)
        link = f"{base}/profiles/atom/connection.do?connectionId={connection_id}"
        return (
            f"<id>{_ENTRY_ID}{connection_id}</id>"
            f'<title type="text">{escape(people[1].name or "")}</title>'
            f"<updated>{timestamp(row.updated)}</updated>"
            f'<category term="connection" scheme="{SN}/type"></category>'
            f'<category term="colleague" scheme="{SN}/connection/type"></category>'
            f'<category term="{row.status}" scheme="{SN}/status"></category>'
            f"<author>{author}</author><contributor>{contributor}</contributor>"
            "<snx:connection>"
            f'<contributor xmlns:snx="{SN}" snx:rel="{SN}/connection/source">{source}</contributor>'
            f'<contributor xmlns:snx="{SN}" snx:rel="{SN}/connection/target">{target}</contributor>'
            "</snx:connection>"
            f'<content type="html">{escape(row.message) if with_message else ""}</content>'
            f'<link href="{escape(link)}" rel="self" type="application/atom+xml"></link>'
            f'<link href="{escape(link)}&amp;inclMessage=true" rel="edit" type="application/atom+xml"></link>'
            '<summary type="text"></summary></entry>'
        )

    def profile(self, number: int, base: str, *, look: Card) -> str:
        """The entry of a profile as a document."""
        return f"{DECLARATION}<entry {_NAMESPACES}>{profile_entry(self.directory, number, base, look, self.settings)}"

    def profile_content(self, number: int, base: str, card: Card) -> str:
        """The entry of a profile in a feed."""
        return f"<entry>{profile_entry(self.directory, number, base, card, self.settings)}"

    def feed(self, feed: Feed, base: str, entries: Iterable[str]) -> str:
        """A feed: links to other pages only where there are some, and then it says that it is complete, as recorded."""
        page, own = feed.page, base + feed.path
        complete = numbers = pages = ""
        if page is None:
            complete = _COMPLETE
        else:
            numbers = (
                f"<opensearch:totalResults>{page.total}</opensearch:totalResults>"
                f"<opensearch:startIndex>{(page.number - 1) * page.size + 1}</opensearch:startIndex>"
                f"<opensearch:itemsPerPage>{page.size}</opensearch:itemsPerPage>"
            )
            if page.number < page.last:
                complete = _COMPLETE
                pages = "".join(
                    f'<link href="{escape(address(own, {**feed.query, "page": str(number), "ps": str(page.size)}))}"'
                    f' rel="{rel}"/>'
                    for rel, number in (("next", page.number + 1), ("last", page.last))
                )
        return (
            f"{DECLARATION}<feed {_NAMESPACES}><id>tag:profiles.ibm.com,2006:feed</id>{self._generator()}"
            f'<title type="text">{escape(feed.title)}</title>'
            f"<author><name>IBM Connections - Profiles</name></author><updated>{timestamp(feed.now)}</updated>"
            f"{complete}{numbers}{pages}"
            f'<link href="{escape(address(own, feed.query))}" rel="self" type="application/atom+xml"></link>'
            f"{feed.links}{''.join(entries)}</feed>"
        )

    def colleagues_link(self, number: int, base: str) -> str:
        """The link to the colleagues of a person, in Atom's own namespace."""
        href = escape(address(f"{base}/profiles/atom/connections.do", self._colleagues(number)))
        return f'<link href="{href}" rel="{SN}/connections/colleague" type="application/atom+xml"></link>'

    def service_document(self, number: int, base: str) -> str:
        """The service document of a person; no ``encoding`` in its declaration, whole hrefs percent-encoded."""
        person = self.directory.person(number)
        name, userid = escape(person.name or ""), str(person.userid)
        key, changed = str(person.key), str(CHANGED)
        profiles = f"{base}/profiles/atom"
        profile = address(f"{profiles}/profile.do", {"userid": userid, "output": "vcard"})
        fields = "".join(f'<snx:editableField name="{field}"></snx:editableField>' for field in _EDITABLE)
        links = (
            (
                address(f"{profiles}/profileTags.do", {"targetKey": key, "lastMod": changed}),
                "tag-cloud",
                "application/atomcat+xml",
            ),
            (
                address(f"{profiles}/connections.do", self._colleagues(number)),
                "connections/colleague",
                "application/atom+xml",
            ),
            (
                address(f"{profiles}/reportingChain.do", {"key": key, "lastMod": changed}),
                "reporting-chain",
                "application/atom+xml",
            ),
            (
                address(f"{profiles}/profileType.do", {"type": "default"}),
                "profile-type",
                "application/profile-type+xml",
            ),
            *((quote(f"{base}/{service}", safe=""), f"service/{service}", "text/html") for service in _SERVICES),
        )
        return self._service(
            f'<workspace><atom:title type="text">{name}</atom:title>'
            f'<collection href="{escape(profile)}"><atom:title type="text">{name}</atom:title>'
            f"<snx:userid>{escape(userid)}</snx:userid><snx:editableFields>{fields}</snx:editableFields></collection>"
            + "".join(
                f'<atom:link href="{escape(href)}" rel="{SN}/{rel}" type="{media_type}"></atom:link>'
                for href, rel, media_type in links
            )
            + "</workspace>"
        )

    def administration(self, base: str) -> str:
        """The service document of the Administration API."""
        return self._service(
            '<workspace><atom:title type="text">Profiles Administration Workspace</atom:title>'
            f'<atom:category term="profiles-admin" scheme="{SN}/workspace"></atom:category>'
            f'<collection href="{escape(base)}/profiles/admin/atom/profiles.do">'
            '<atom:title type="text">All User Profiles</atom:title>'
            "<accept>application/atom+xml;type=entry</accept></collection></workspace>"
        )

    def service_configs(self, base: str, now: int) -> str:
        """What is installed, and whether e-mail addresses are shown (protocol page on hidden addresses)."""
        entries = "".join(
            f"<entry><id>{service}</id>"
            f'<title type="text">{service}</title><updated>{timestamp(now)}</updated>'
            f'<link href="{escape(base)}/{service}" rel="alternate" type="text/html"></link></entry>'
            for service in _SERVICES
        )
        return (
            f"{DECLARATION}<feed {_NAMESPACES}><id>tag:profiles.ibm.com,2006:service-configs</id>{self._generator()}"
            f'<title type="text">Service configurations</title><updated>{timestamp(now)}</updated>'
            f'<category term="email-{self.settings.emails}" scheme="{SN}/configuration"></category>'
            f"{entries}</feed>"
        )

    def _colleagues(self, number: int) -> dict[str, str]:
        return {
            "connectionType": "colleague",
            "key": str(self.directory.person(number).key),
            "lastMod": str(CHANGED),
        }

    def _service(self, workspace: str) -> str:
        return (
            f'<?xml version="1.0"?><service xmlns="http://www.w3.org/2007/app" xmlns:atom="{ATOM}" xmlns:snx="{SN}">'
            f"{self._generator('atom:')}{workspace}</service>"
        )

    def _generator(self, prefix: str = "") -> str:
        version = self.settings.dialect.generator
        return f'<{prefix}generator version="{version}" uri="{SN}">IBM Connections - Profiles</{prefix}generator>'


def error_document(code: str, message: str, line_end: str, *, declared: bool, blank_lines: int) -> str:
    """The page that an application makes of an error: blank lines around the document, blanks around every text."""
    lines = [
        *([DECLARATION] if declared else []),
        *[""] * blank_lines,
        f'<error xmlns="{SN}">',
        *("\t<code>", f"\t\t{code}", "\t</code>"),
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
