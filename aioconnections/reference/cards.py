"""Profiles as entries: the person as an hCard in XHTML, or as a vCard in text (protocol page "Profile entry")."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from aioconnections.reference.markup import SN, address, person_construct, timestamp

if TYPE_CHECKING:
    from aioconnections.records import Person
    from aioconnections.reference.directory import Directory
    from aioconnections.reference.population import Details
    from aioconnections.reference.settings import Settings

__all__ = ["CHANGED", "Card", "profile_entry"]

CHANGED = 1_488_323_045_678
"""When all profiles were last changed, in milliseconds since 1970."""
_XHTML = "http://www.w3.org/1999/xhtml"


class Card(NamedTuple):
    """In which form a profile is wanted: a vCard or else an hCard, and with all fields or the most used ones."""

    vcard: bool
    full: bool


def profile_entry(directory: Directory, number: int, base: str, card: Card, settings: Settings) -> str:
    """What stands in the entry of a profile, after its start tag."""
    person, details = directory.person(number), directory.details(number)
    key, shown = str(person.key), settings.emails == "exposed"
    own = {"key": key, "output": "vcard" if card.vcard else "hcard", "format": "full" if card.full else "lite"}
    profiles = f"{base}/profiles"
    links = [
        (address(f"{profiles}/atom/profile.do", own), "self", "application/atom+xml"),
        (
            address(f"{profiles}/atom/profileType.do", {"type": "default"}),
            f"{SN}/profile-type",
            "application/profile-type+xml",
        ),
        (address(f"{profiles}/html/profileView.do", {"key": key}), "related", "text/html"),
        (address(f"{profiles}/photo.do", {"key": key, "lastMod": str(CHANGED)}), f"{SN}/image", "image/jpeg"),
        (address(f"{profiles}/audio.do", {"key": key, "lastMod": str(CHANGED)}), f"{SN}/pronunciation", "audio/wav"),
        (address(f"{profiles}/vcard/profile.do", {"key": key}), "alternate", "text/directory"),
    ]
    if card.vcard:
        links.append((address(f"{profiles}/atom/profileEntry.do", {"key": key}), "edit", "application/atom+xml"))
    if card.vcard:
        content = f'<content type="text">{escape(_vcard(person, details, full=card.full, shown=shown))}</content>'
    else:
        content = f'<content type="xhtml">{_hcard(person, details, base, full=card.full, shown=shown)}</content>'
    return (
        f'<id>tag:profiles.ibm.com,2006:entry{key}</id><title type="text">{escape(person.name or "")}</title>'
        f'<updated>{timestamp(CHANGED)}</updated><category term="profile" scheme="{SN}/type"></category>'
        f"<contributor>{person_construct(person, settings)}</contributor>"
        + "".join(f'<link href="{escape(href)}" rel="{rel}" type="{kind}"></link>' for href, rel, kind in links)
        + f'<summary type="text">{escape(details.job_title)}</summary>{content}</entry>'
    )


def _hcard(person: Person, details: Details, base: str, *, full: bool, shown: bool) -> str:
    name, userid, key = (escape(str(value)) for value in (person.name, person.userid, person.key))
    email = escape(str(person.email))
    more = (
        f'<div class="adr work"><span class="locality">{escape(details.city)}</span>'
        f'<span class="country-name">{escape(details.country)}</span></div>'
        f'<div class="rev">{timestamp(CHANGED)}</div><div class="x-profile-type">default</div>'
    )
    return (
        f'<sp_0:div xmlns="{_XHTML}" xmlns:sp_0="{_XHTML}"><span class="vcard"><div>'
        f'<a class="fn url" href="{escape(base)}/profiles/html/profileView.do?key={key}">{name}</a></div>'
        f'<div class="title">{escape(details.job_title)}</div>'
        f'<div class="org"><span class="organization-unit">{escape(details.organization)}</span></div>'
        + (f'<div><a class="email" href="mailto:{email}">{email}</a></div>' if shown else "")
        + f'<div class="tel"><span class="type">work</span><span class="value">{details.phone}</span></div>'
        f'<div class="uid">{userid}</div><div class="x-profile-key">{key}</div>'
        f'<div class="x-profile-uid">{details.login}</div><div class="x-lconn-userid">{userid}</div>'
        f"{more if full else ''}</span></sp_0:div>"
    )


def _vcard(person: Person, details: Details, *, full: bool, shown: bool) -> str:
    """A vCard 2.1 after a blank line."""
    first, _, last = str(person.name).partition(" ")
    more = (
        f"ADR;WORK:;;;{details.city};;;{details.country}",
        f"REV:{timestamp(CHANGED)}",
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
            *([f"EMAIL;INTERNET:{person.email}"] if shown else []),
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
