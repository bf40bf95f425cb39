"""Service documents, error documents, and the entries that are sent."""

import xml.etree.ElementTree as ET
from urllib.parse import quote

import pytest

from aioconnections.atom import AtomPerson, Category, Content, Entry, Link, Reader, Text, write_entry
from aioconnections.errors import AtomError, InvalidInputError
from aioconnections.protocol.discovery import service_document
from aioconnections.protocol.entries import (
    accepted_entry,
    connected_entry,
    connection_from,
    invitation_entry,
    invitation_from,
    invite_entry,
    member_entry,
    query_value,
)
from aioconnections.protocol.people import profile_from
from aioconnections.protocol.responses import error_document
from aioconnections.records import (
    Connection,
    Email,
    ErrorDocument,
    Invitation,
    Key,
    Person,
    Profile,
    ServiceDocument,
    Userid,
)

SN = "http://www.ibm.com/xmlns/prod/sn"
TYPE = f"{SN}/type"
HTML = b"<!DOCTYPE html><html><body>SRVE0255E: A WebGroup/Virtual Host has not been defined.</body></html>"

ERRORS = {
    "Profiles 5.0": (
        b'<?xml version="1.0" encoding="UTF-8"?>' + b"\n" * 8 + b'<error xmlns="http://www.ibm.com/xmlns/prod/sn">'
        b"<code>\n\t400\n</code><message>\n\tCLFRN1172E: The request is invalid.\n</message>"
        b"<trace>\n\tOMITTED\n</trace></error>\n\n\n",
        ErrorDocument("400", "CLFRN1172E: The request is invalid.", "CLFRN1172E"),
    ),
    "Profiles 6.0, duplicate": (
        (
            b'<?xml version="1.0" encoding="UTF-8"?>\r\n\r\n<error xmlns="http://www.ibm.com/xmlns/prod/sn"><code>\r\n</code>'
            b"<message>\r\n\tCLFRN1168E: A connection to this user already exists or is pending.\r\n</message></error>"
        ),
        ErrorDocument(None, "CLFRN1168E: A connection to this user already exists or is pending.", "CLFRN1168E"),
    ),
    "Communities": (
        b"\n"
        * 12
        + b'<error xmlns="http://www.ibm.com/xmlns/prod/sn"><code>404</code><message>The community which this '
        b"resource or page is associated with does not exist.</message><trace>\n\n</trace></error>",
        ErrorDocument("404", "The community which this resource or page is associated with does not exist."),
    ),
    "Activities": (
        (
            b'<error xmlns="http://www.ibm.com/xmlns/prod/sn"><code>403</code><message/><displaymessage>Not yours.'
            b"</displaymessage><errortype>x</errortype></error>"
        ),
        ErrorDocument("403", "Not yours."),
    ),
    "Files": (
        (
            b'<td:error xmlns:td="urn:ibm.com/td"><td:errorCode>ItemNotFound</td:errorCode>'
            b"<td:errorMessage>EJPVJ9082E: Gone.</td:errorMessage></td:error>"
        ),
        ErrorDocument("ItemNotFound", "EJPVJ9082E: Gone.", "EJPVJ9082E"),
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_documents(name: str) -> None:
    body, expected = ERRORS[name]
    assert error_document(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        HTML,
        b"<error/>",
        b"<x/>",
        b'<?xml version="1.0"?>',
        b"<error",
        b'<code xmlns="http://www.ibm.com/xmlns/prod/sn"/>',
    ],
)
def test_what_is_no_error_document(body: bytes) -> None:
    assert error_document(body) is None


SERVICE = (
    b'<?xml version="1.0"?><service xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom" '
    b'xmlns:snx="http://www.ibm.com/xmlns/prod/sn"><workspace><atom:title type="text">Ada Marsh</atom:title>'
    b'<collection href="https://h.example/profiles/atom/profile.do?userid=A1&amp;output=vcard"><snx:userid>\n A1 '
    b"</snx:userid></collection>"
    b'<atom:link href="https://h.example/profiles/atom/profileTags.do?targetKey=k-1&amp;lastMod=1" rel="tag-cloud"/>'
    b"%s"
    b'<atom:link rel="http://www.ibm.com/xmlns/prod/sn/service/files" href="https%%3A%%2F%%2Fh.example%%2Ffiles"/>'
    b"</workspace></service>"
)
COLLEAGUES = "https://h.example/profiles/atom/connections.do?connectionType=colleague&key=k-2&lastMod=1"
REST = (
    ("tag-cloud", "https://h.example/profiles/atom/profileTags.do?targetKey=k-1&lastMod=1"),
    (f"{SN}/service/files", "https://h.example/files"),
)


def test_a_service_document() -> None:
    link = f'<atom:link href="{COLLEAGUES}" rel="{SN}/connections/colleague"/>'.replace("&", "&amp;").encode()
    found = service_document(SERVICE % link)
    links = (REST[0], (f"{SN}/connections/colleague", COLLEAGUES), REST[1])
    assert found == ServiceDocument(Userid("A1"), Key("k-2"), COLLEAGUES, links)
    assert found.href("tag-cloud") == REST[0][1]
    assert found.href("x") is None


def test_a_service_document_without_colleagues() -> None:
    assert service_document(SERVICE % b"") == ServiceDocument(Userid("A1"), Key("k-1"), None, REST)
    assert service_document(b'<service xmlns="http://www.w3.org/2007/app"/>') == ServiceDocument(None, None)


def test_no_service_document() -> None:
    assert service_document(b'<?xml version="1.0"?>') is None
    with pytest.raises(AtomError, match="not a service document"):
        service_document(b"<service/>")
    with pytest.raises(AtomError, match="HTML"):
        service_document(HTML)


def sent(entry: Entry) -> str:
    return write_entry(entry).decode()


def test_an_invitation_as_documented() -> None:
    assert sent(invite_entry("Hello & welcome")) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<entry xmlns="http://www.w3.org/2005/Atom">'
        f'<category term="connection" scheme="{SN}/type"/>'
        f'<category term="colleague" scheme="{SN}/connection/type"/>'
        f'<category term="pending" scheme="{SN}/status"/>'
        '<content type="text">Hello &amp; welcome</content></entry>'
    )


def test_an_administrator_says_accepted() -> None:
    assert 'term="accepted"' in sent(connected_entry())


def test_accepting_changes_the_status_and_nothing_else() -> None:
    entry = Entry(id="x", categories=(Category("pending", f"{SN}/status", "l"), Category("a", "b")), title=Text("t"))
    accepted = Category("accepted", f"{SN}/status", "l")
    assert accepted_entry(entry) == Entry(id="x", categories=(accepted, Category("a", "b")), title=Text("t"))
    assert accepted_entry(Entry()).categories == (Category("accepted", f"{SN}/status"),)


RICH = (
    '<a:entry xmlns:a="http://www.w3.org/2005/Atom" xmlns="urn:x" xmlns:s="http://www.ibm.com/xmlns/prod/sn"'
    ' xml:lang="en" xml:base="https://h.example/" odd="1"><a:id>i</a:id><a:id odd="2">second</a:id>'
    '<a:title type="html">t</a:title>'
    '<a:title type="text" xml:lang="de">u</a:title><a:updated>once</a:updated><a:published>p</a:published>'
    '<a:content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Please <b class="c">do</b></div></a:content>'
    '<a:content type="text">again</a:content><a:summary type="text"/><a:rights type="text" odd="3">r</a:rights>'
    f'<a:category term="pending" scheme="{SN}/status" label="l" xml:lang="fr" s:odd="4"/><a:category term="other"/>'
    '<a:link href="https://h.example/x" rel="edit" s:odd="5" xml:base="c/" length="many"/>'
    '<a:link rel="self" href="urn:y"/>'
    '<a:author xml:lang="it" odd="6"><a:name>N</a:name><a:name>M</a:name><s:userid>U</s:userid><s:more><deep/></s:more>'
    '</a:author><a:contributor/><s:connection xml:lang="pl" odd="7">'
    f'<a:contributor s:rel="{SN}/connection/source" odd="8"><a:uri>urn:s</a:uri></a:contributor>'
    f'<a:contributor s:rel="{SN}/connection/target"/>'
    f'<a:contributor s:rel="{SN}/connection/target"><a:name>T</a:name></a:contributor><extra/></s:connection>'
    "<s:connection/><a:source><a:id>f</a:id><a:id>g</a:id><s:in/></a:source><a:source/>"
    '<s:rank scheme="x">3</s:rank><note s:a="1">kept <a:entry><a:title>not mine</a:title></a:entry> so</note></a:entry>'
)


def shape(element: ET.Element) -> tuple[object, ...]:
    """An element without the order of its children where they are elements alone."""
    children = [(shape(child), (child.tail or "").strip()) for child in element]
    return element.tag, sorted(element.items()), (element.text or "").strip(), sorted(children, key=repr)


def test_of_what_was_not_understood_an_accepted_invitation_loses_nothing() -> None:
    reader = Reader()
    reader.feed(RICH.encode())
    (entry,) = reader.close().entries
    sent_back = ET.fromstring(write_entry(accepted_entry(entry)))  # noqa: S314 # our own document
    wanted = ET.fromstring(RICH.replace('"pending"', '"accepted"'))  # noqa: S314 # our own document
    assert shape(sent_back) == shape(wanted)


def test_a_community_invitation_and_its_answer() -> None:
    assert sent(invitation_entry(Userid("u"), "T")).endswith(
        f'<title type="text">T</title><category term="invite" scheme="{TYPE}"/>'
        f'<contributor><snx:userid xmlns:snx="{SN}">u</snx:userid></contributor></entry>'
    )
    assert "<contributor><email>a@example.com</email></contributor>" in sent(
        invitation_entry(Email("a@example.com"), "T")
    )
    member = member_entry(Userid("u"))
    assert f'<snx:role xmlns:snx="{SN}" component="{SN}/communities">member</snx:role>' in sent(member)
    reader = Reader()
    reader.feed(write_entry(member))
    (again,) = reader.close().entries
    assert again.role == "member"
    assert Entry().role is None
    for build in (member_entry, lambda person: invitation_entry(person, "T")):
        with pytest.raises(InvalidInputError, match="not by key"):
            build(Key("k"))


def test_entries_of_something_else() -> None:
    other = Entry(categories=(Category("community", TYPE),))
    for build in (connection_from, invitation_from, profile_from):
        with pytest.raises(AtomError, match="does not describe a"):
            build(other)


def test_a_connection_that_says_little() -> None:
    entry = Entry(id="urn:x", categories=(Category("connection", TYPE), Category("odd", f"{SN}/status")))
    assert connection_from(entry) == Connection(None, None, Person(), Person())


def test_the_community_of_an_invitation() -> None:
    invite = (Category("invite", TYPE),)
    uuid, member = "0b2d0000-0000-4000-8000-00000000c0de", "dd9a0000-0000-4000-8000-00000000add9"
    entry_id = f"urn:lsid:ibm.com:communities:invite-{uuid}-{member}"
    assert invitation_from(Entry(id=entry_id, categories=invite)) == Invitation(entry_id, uuid)
    assert invitation_from(Entry(id="x", categories=invite)).community_uuid is None
    assert invitation_from(Entry(categories=invite)).community_uuid is None
    link = Link(f"/x?communityUuid={uuid}", rel="self")
    assert invitation_from(Entry(categories=invite, links=(link,))).community_uuid == uuid


def test_a_profile_without_a_card() -> None:
    assert profile_from(Entry(title=Text("Ada"))) == Profile(Person(name="Ada"))
    links = (Link("/profiles/atom/profile.do?key=k", rel="self"),)
    assert profile_from(Entry(links=links, content=Content(b"", "image/png"))).person.key == Key("k")
    found = profile_from(Entry(content=Content("BEGIN:VCARD\nFN:Ada\nUID:u\nEMAIL;INTERNET:a@example.com\nEND:VCARD")))
    assert found.person == Person(name="Ada", userid=Userid("u"), email=Email("a@example.com"))
    assert (found.get("fn"), found.get("x")) == ("Ada", None)
    assert profile_from(Entry(content=Content("about me"))).properties == ()


def test_an_identity_that_could_not_be_sent_is_none() -> None:
    found = profile_from(Entry(content=Content("BEGIN:VCARD\nUID:a\x85b")))
    assert found.person.userid is None


@pytest.mark.parametrize("odd", ["a\u200bb", "a b", "a,b", "k" * 2_049, " "])
def test_an_odd_key_of_the_server_keeps_no_person_from_being_listed(odd: str) -> None:
    ann = AtomPerson("Ann", "not an address", userid="u1")
    entry = Entry(id=f"tag:profiles.ibm.com,2006:entry{odd}", contributors=(ann,))
    assert profile_from(entry).person == Person(name="Ann", userid=Userid("u1"))
    href = f"https://c.example.com/profiles/atom/connections.do?key={quote(odd)}"
    link = f'<link xmlns="http://www.w3.org/2005/Atom" rel="{SN}/connections/colleague" href="{href}"/>'
    found = service_document(f'<service xmlns="http://www.w3.org/2007/app">{link}</service>'.encode())
    assert found == ServiceDocument(None, None, href, ((f"{SN}/connections/colleague", href),))


def test_hrefs_that_are_none() -> None:
    assert query_value("http://[x", "key") is None
    assert query_value(None, "key") is None
