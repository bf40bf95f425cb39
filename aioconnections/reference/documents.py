"""Atom documents of Profiles in the vendor's form, byte for byte where a recording exists.

Profiles writes a document on one line and empty elements as ``<x></x>``, and repeats some namespace declarations.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from attrs import frozen

from aioconnections.records import Status
from aioconnections.reference.markup import ATOM, DECLARATION, OPENSEARCH, SN, address, person_construct, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aioconnections.records import Person
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.population import ProfileDetails
    from aioconnections.reference.relationships import RelationshipRow
    from aioconnections.reference.request import FeedPage
    from aioconnections.reference.settings import Settings

__all__ = ["PROFILE_UPDATED", "ProfileFormat", "ProfilesDocuments", "ProfilesFeed"]

PROFILE_UPDATED = 1_488_323_045_678
"""Date of the last change to all profiles, in milliseconds since 1970."""

_XHTML = "http://www.w3.org/1999/xhtml"
_ENTRY_ID = "tag:profiles.ibm.com,2006:entry"
_NAMESPACES = (
    f'xmlns:app="http://www.w3.org/2007/app" xmlns:thr="http://purl.org/syndication/thread/1.0"'
    f' xmlns:fh="http://purl.org/syndication/history/1.0" xmlns:snx="{SN}" xmlns:opensearch="{OPENSEARCH}"'
    f' xmlns="{ATOM}"'
)
_EDITABLE = ("telephoneNumber", "mobileNumber", "officeName", "description", "experience")
_SERVICES = ("forums", "blogs", "activities", "profiles", "files", "wikis", "communities")
_COMPLETE = "<fh:complete></fh:complete>"


class ProfileFormat(NamedTuple):
    """The requested form of a profile.

    Attributes:
        vcard: True for a vCard as text, False for an hCard in XHTML.
        full: True for all fields, False for the most important ones.
    """

    vcard: bool
    full: bool


def _profile_content(directory: Directory, number: int, base: str, form: ProfileFormat, settings: Settings) -> str:
    """The rest of a profile entry after its start tag (protocol page "Profile entry")."""
    person, details = directory.person(number), directory.details(number)
    key, show_email = str(person.key), settings.emails == "exposed"
    query = {"key": key, "output": "vcard" if form.vcard else "hcard", "format": "full" if form.full else "lite"}
    profiles = f"{base}/profiles"
    links = [
        (address(f"{profiles}/atom/profile.do", query), "self", "application/atom+xml"),
        (
            address(f"{profiles}/atom/profileType.do", {"type": "default"}),
            f"{SN}/profile-type",
            "application/profile-type+xml",
        ),
        (address(f"{profiles}/html/profileView.do", {"key": key}), "related", "text/html"),
        (address(f"{profiles}/photo.do", {"key": key, "lastMod": str(PROFILE_UPDATED)}), f"{SN}/image", "image/jpeg"),
        (
            address(f"{profiles}/audio.do", {"key": key, "lastMod": str(PROFILE_UPDATED)}),
            f"{SN}/pronunciation",
            "audio/wav",
        ),
        (address(f"{profiles}/vcard/profile.do", {"key": key}), "alternate", "text/directory"),
    ]
    if form.vcard:
        links.append((address(f"{profiles}/atom/profileEntry.do", {"key": key}), "edit", "application/atom+xml"))
        card = _vcard(person, details, full=form.full, show_email=show_email)
        content = f'<content type="text">{escape(card)}</content>'
    else:
        card = _hcard(person, details, base, full=form.full, show_email=show_email)
        content = f'<content type="xhtml">{card}</content>'
    return (
        f'<id>tag:profiles.ibm.com,2006:entry{key}</id><title type="text">{escape(person.name or "")}</title>'
        f'<updated>{timestamp(PROFILE_UPDATED)}</updated><category term="profile" scheme="{SN}/type"></category>'
        f"<contributor>{person_construct(person, settings)}</contributor>"
        + "".join(f'<link href="{escape(href)}" rel="{rel}" type="{kind}"></link>' for href, rel, kind in links)
        + f'<summary type="text">{escape(details.job_title)}</summary>{content}</entry>'
    )


def _hcard(person: Person, details: ProfileDetails, base: str, *, full: bool, show_email: bool) -> str:
    name, userid, key = (escape(str(value)) for value in (person.name, person.userid, person.key))
    email = escape(str(person.email))
    more = (
        f'<div class="adr work"><span class="locality">{escape(details.city)}</span>'
        f'<span class="country-name">{escape(details.country)}</span></div>'
        f'<div class="rev">{timestamp(PROFILE_UPDATED)}</div><div class="x-profile-type">default</div>'
    )
    return (
        f'<sp_0:div xmlns="{_XHTML}" xmlns:sp_0="{_XHTML}"><span class="vcard"><div>'
        f'<a class="fn url" href="{escape(base)}/profiles/html/profileView.do?key={key}">{name}</a></div>'
        f'<div class="title">{escape(details.job_title)}</div>'
        f'<div class="org"><span class="organization-unit">{escape(details.organization)}</span></div>'
        + (f'<div><a class="email" href="mailto:{email}">{email}</a></div>' if show_email else "")
        + f'<div class="tel"><span class="type">work</span><span class="value">{details.phone}</span></div>'
        f'<div class="uid">{userid}</div><div class="x-profile-key">{key}</div>'
        f'<div class="x-profile-uid">{details.login}</div><div class="x-lconn-userid">{userid}</div>'
        f"{more if full else ''}</span></sp_0:div>"
    )


def _vcard(person: Person, details: ProfileDetails, *, full: bool, show_email: bool) -> str:
    """A vCard 2.1, preceded by a blank line."""
    first, _, last = str(person.name).partition(" ")
    more = (
        f"ADR;WORK:;;;{details.city};;;{details.country}",
        f"REV:{timestamp(PROFILE_UPDATED)}",
        "X_PROFILE_TYPE:default",
        f"X_EXTENSION_PROPERTY;VALUE=X_EXTENSION_VALUE:{details.school}",
    )
    return "\n".join(
        (
            "",
            "BEGIN:VCARD",
            "VERSION:2.1",
            f"N:{last};{first}",
            f"FN:{person.name}",
            f"TITLE:{details.job_title}",
            f"ORG:{details.organization}",
            *([f"EMAIL;INTERNET:{person.email}"] if show_email else []),
            f"TEL;WORK:{details.phone}",
            f"X_PROFILE_KEY:{person.key}",
            f"UID:{person.userid}",
            f"X_PROFILE_UID:{details.login}",
            f"X_LCONN_USERID:{person.userid}",
            *(more if full else []),
            "END:VCARD",
            "",
        )
    )


class ProfilesFeed(NamedTuple):
    """The metadata of a feed.

    Attributes:
        title: title of the feed.
        path: path of the feed.
        query: parameters of the request, which the links repeat.
        page: the page of the list; None for a feed without pages.
        now: milliseconds since 1970; a feed is always dated with the time of the request.
        links: additional links, as XML.
    """

    title: str
    path: str
    query: Mapping[str, str]
    page: FeedPage | None
    now: int
    links: str = ""


@frozen
class ProfilesDocuments:
    """Writes the documents of one server. `base` is the part of all links before ``/profiles``."""

    directory: Directory
    settings: Settings

    def connection(self, row: RelationshipRow, base: str, *, with_message: bool) -> str:
        """The entry of a connection as a document."""
        return f"{DECLARATION}<entry {_NAMESPACES}>{self._connection_content(row, base, with_message=with_message)}"

    def connection_entry(self, row: RelationshipRow, base: str, *, with_message: bool) -> str:
        """The entry of a connection in a feed."""
        return f"<entry>{self._connection_content(row, base, with_message=with_message)}"

    def _connection_content(self, row: RelationshipRow, base: str, *, with_message: bool) -> str:
        """The rest of a connection entry after its start tag (protocol page "Connection entry content")."""
        people = [self.directory.person(number) for number in (row.source, row.target)]
        source, target = (person_construct(person, self.settings) for person in people)
        # The author made the row and the contributor changed it last; either can be source or target.
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

    def profile(self, number: int, base: str, *, form: ProfileFormat) -> str:
        """The entry of a profile as a document."""
        return (
            f"{DECLARATION}<entry {_NAMESPACES}>{_profile_content(self.directory, number, base, form, self.settings)}"
        )

    def profile_entry(self, number: int, base: str, form: ProfileFormat) -> str:
        """The entry of a profile in a feed."""
        return f"<entry>{_profile_content(self.directory, number, base, form, self.settings)}"

    def feed(self, feed: ProfilesFeed, base: str, entries: Iterable[str]) -> str:
        """A feed. If further pages exist, it links to them and contains ``fh:complete``, as recorded."""
        page, url = feed.page, base + feed.path
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
                    f'<link href="{escape(address(url, {**feed.query, "page": str(number), "ps": str(page.size)}))}"'
                    f' rel="{rel}"/>'
                    for rel, number in (("next", page.number + 1), ("last", page.last))
                )
        return (
            f"{DECLARATION}<feed {_NAMESPACES}><id>tag:profiles.ibm.com,2006:feed</id>{self._generator()}"
            f'<title type="text">{escape(feed.title)}</title>'
            f"<author><name>IBM Connections - Profiles</name></author><updated>{timestamp(feed.now)}</updated>"
            f"{complete}{numbers}{pages}"
            f'<link href="{escape(address(url, feed.query))}" rel="self" type="application/atom+xml"></link>'
            f"{feed.links}{''.join(entries)}</feed>"
        )

    def colleagues_link(self, number: int, base: str) -> str:
        """The link to the colleagues of a person, in the Atom namespace."""
        href = escape(address(f"{base}/profiles/atom/connections.do", self._colleagues_query(number)))
        return f'<link href="{href}" rel="{SN}/connections/colleague" type="application/atom+xml"></link>'

    def service_document(self, number: int, base: str) -> str:
        """The service document of a person, without ``encoding`` in its declaration, as recorded."""
        person = self.directory.person(number)
        name, userid = escape(person.name or ""), str(person.userid)
        key, changed = str(person.key), str(PROFILE_UPDATED)
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
                address(f"{profiles}/connections.do", self._colleagues_query(number)),
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
        """The installed services and the visibility of e-mail addresses (protocol page on hidden addresses)."""
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

    def _colleagues_query(self, number: int) -> dict[str, str]:
        return {
            "connectionType": "colleague",
            "key": str(self.directory.person(number).key),
            "lastMod": str(PROFILE_UPDATED),
        }

    def _service(self, workspace: str) -> str:
        return (
            f'<?xml version="1.0"?><service xmlns="http://www.w3.org/2007/app" xmlns:atom="{ATOM}" xmlns:snx="{SN}">'
            f"{self._generator('atom:')}{workspace}</service>"
        )

    def _generator(self, prefix: str = "") -> str:
        version = self.settings.dialect.generator
        return f'<{prefix}generator version="{version}" uri="{SN}">IBM Connections - Profiles</{prefix}generator>'
