"""Profiles, search, the own userid and service configs, in process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from aioconnections.reference import Directory, app

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from aioconnections.records import Person

pytestmark = pytest.mark.asyncio
PROFILES = "/profiles/atom/"
ATOM, SNX = "{http://www.w3.org/2005/Atom}", "{http://www.ibm.com/xmlns/prod/sn}"
XHTML, OPENSEARCH = "{http://www.w3.org/1999/xhtml}", "{http://a9.com/-/spec/opensearch/1.1/}"
SN = "http://www.ibm.com/xmlns/prod/sn"


def _found(feed: Element) -> list[str]:
    return [entry.findtext(f"{ATOM}contributor/{SNX}userid", "") for entry in feed.iter(f"{ATOM}entry")]


def _named(person: Person, kind: str) -> str:
    return f"{kind}={quote(str(getattr(person, kind)), safe='')}"


def _vcard(entry: Element) -> dict[str, str]:
    lines = entry.findtext(f"{ATOM}content", "").split("\n")
    assert lines[:3] == ["", "BEGIN:VCARD", "VERSION:2.1"]
    assert lines[-2:] == ["END:VCARD", ""]
    return dict(line.split(":", 1) for line in lines[1:-1])


@pytest.mark.parametrize("kind", ["email", "userid", "key"])
async def test_a_profile_by_any_identity(directory: Directory, ask: Any, parse: Any, kind: str) -> None:
    server = app(directory)
    for person in directory.people[:60]:
        feed = parse((await ask(server, "GET", f"{PROFILES}profile.do?{_named(person, kind)}", user="admin")).content)
        assert _found(feed) == [str(person.userid)]
        # protocol: such a feed contains fh:complete, no counts, and the link to the colleagues
        assert feed.find("{http://purl.org/syndication/history/1.0}complete") is not None
        assert feed.find(f"{OPENSEARCH}totalResults") is None
        links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
        assert f"key={person.key}" in links[f"{SN}/connections/colleague"]
        entry = parse(
            (await ask(server, "GET", f"{PROFILES}profileEntry.do?{_named(person, kind)}", user="admin")).content
        )
        assert entry.tag == f"{ATOM}entry"
        assert entry.findtext(f"{ATOM}id") == f"tag:profiles.ibm.com,2006:entry{person.key}"
        assert entry.find(f"{ATOM}category").get("term") == "profile"


@pytest.mark.parametrize("size", ["lite", "full", ""])
async def test_an_hcard(directory: Directory, ask: Any, parse: Any, size: str) -> None:
    person = directory.people[8]
    url = f"{PROFILES}profileEntry.do?{_named(person, 'key')}" + (f"&format={size}" if size else "")
    entry = parse((await ask(app(directory), "GET", url, user="admin")).content)
    content = entry.find(f"{ATOM}content")
    assert content.get("type") == "xhtml"
    fields = {element.get("class"): element.text for element in content.iter() if element.text}
    assert fields["fn url"] == person.name
    assert fields["x-profile-key"] == str(person.key)
    assert fields["uid"] == fields["x-lconn-userid"] == str(person.userid)
    assert fields["email"] == str(person.email)
    assert fields["x-profile-uid"]
    # protocol: the short form is the default from 3.0 on
    assert ({"rev", "x-profile-type", "locality"} <= set(fields)) is (size == "full")
    assert content[0].tag == f"{XHTML}div"
    rels = {link.get("rel") for link in entry.iter(f"{ATOM}link")}
    assert rels == {"self", "related", "alternate", f"{SN}/profile-type", f"{SN}/image", f"{SN}/pronunciation"}


@pytest.mark.parametrize("size", ["lite", "full"])
async def test_a_vcard(directory: Directory, ask: Any, parse: Any, size: str) -> None:
    server = app(directory)
    for person in directory.people[:60]:
        url = f"{PROFILES}profileEntry.do?{_named(person, 'userid')}&output=vcard&format={size}"
        entry = parse((await ask(server, "GET", url, user="admin")).content)
        card = _vcard(entry)
        assert card["FN"] == person.name
        assert card["EMAIL;INTERNET"] == str(person.email)
        assert card["X_PROFILE_KEY"] == str(person.key)
        assert card["UID"] == card["X_LCONN_USERID"] == str(person.userid)
        assert ("REV" in card) is ("X_PROFILE_TYPE" in card) is ("ADR;WORK" in card) is (size == "full")
        # vCard 2.1: post office box, extension, street, city, region, postal code, country
        assert "ADR;WORK" not in card or [bool(part) for part in card["ADR;WORK"].split(";")] == [
            *[False] * 3, True, False, False, True
        ]  # fmt: skip
        assert any(link.get("rel") == "edit" for link in entry.iter(f"{ATOM}link"))


async def test_no_document_contains_hidden_addresses(directory: Directory, ask: Any) -> None:
    server, person = app(directory, emails="hidden"), directory.people[2]
    for resource in ("profile.do", "profileEntry.do", "search.do"):
        for rest in ("", "&output=vcard"):
            response = await ask(server, "GET", f"{PROFILES}{resource}?{_named(person, 'userid')}{rest}", user="admin")
            assert str(person.userid) in response.text
            assert "mail" not in response.text.lower()
        refused = await ask(server, "GET", f"{PROFILES}{resource}?{_named(person, 'email')}", user="admin")
        assert refused.status_code == 400
    me = await ask(server, "GET", "/connections/opensocial/basic/rest/people/@me/", user=person)
    assert "emails" not in me.json()["entry"]


async def test_four_responses_for_an_unknown_person(directory: Directory, ask: Any, parse: Any) -> None:
    server, unknown = app(directory), "email=nobody%40example.com"
    feed = parse((await ask(server, "GET", f"{PROFILES}profile.do?{unknown}", user="admin")).content)
    assert _found(feed) == []
    assert feed.find("{http://purl.org/syndication/history/1.0}complete") is not None
    feed = parse((await ask(server, "GET", f"{PROFILES}search.do?{unknown}", user="admin")).content)
    assert feed.findtext(f"{OPENSEARCH}totalResults") == "0"
    assert feed.findtext(f"{ATOM}title") == "profiles where  email=nobody@example.com"
    entry = await ask(server, "GET", f"{PROFILES}profileEntry.do?{unknown}", user="admin")
    assert (entry.status_code, len(entry.content)) == (200, 38)
    assert entry.headers["content-type"].startswith("application/atom+xml")
    rooted = app(directory, rootless_profile_entry=False)
    assert (await ask(rooted, "GET", f"{PROFILES}profileEntry.do?{unknown}", user="admin")).status_code == 404
    for resource in ("profile.do", "profileEntry.do", "search.do"):
        assert (await ask(server, "GET", PROFILES + resource, user="admin")).status_code == 400


async def test_list_of_addresses_and_precedence_of_the_userid(directory: Directory, ask: Any, parse: Any) -> None:
    server = app(directory)
    people = directory.people[:5]
    listed = quote(",".join([*(str(person.email) for person in people), "nobody@example.com"]), safe="")
    feed = parse((await ask(server, "GET", f"{PROFILES}profile.do?email={listed}", user="admin")).content)
    assert _found(feed) == [str(person.userid) for person in people]
    url = f"{PROFILES}profile.do?email={listed}&{_named(directory.people[9], 'userid')}"
    assert _found(parse((await ask(server, "GET", url, user="admin")).content)) == [str(directory.people[9].userid)]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("ada*", lambda name: any(word.lower().startswith("ada") for word in [name, *name.split()])),
        ("ADA%", lambda name: any(len(word) == 4 and word.lower().startswith("ada") for word in [name, *name.split()])),
        ("*ß*", lambda name: "ß" in name),
        ("Zoë", lambda name: "Zoë" in name.split()),
        ("*[R*", lambda name: "[R" in name),
        ("*?*", lambda name: "?" in name),
        ("*" * 40 + "q" + "*q" * 20, lambda _: False),
    ],
)
async def test_searching_by_name(directory: Directory, ask: Any, parse: Any, pattern: str, matches: Any) -> None:
    server = app(directory)
    url = f"{PROFILES}search.do?name={quote(pattern, safe='')}&ps=250&activeUsersOnly=false"
    found = _found(parse((await ask(server, "GET", url, user="admin")).content))
    assert found == [str(person.userid) for person in directory.people if matches(str(person.name))][:250]


async def test_inactive_people_are_excluded_by_default(directory: Directory, ask: Any, parse: Any) -> None:
    server = app(directory, max_ps=1000)
    for only, states in (("", {"active"}), ("&activeUsersOnly=false", {"active", "inactive"})):
        feed = parse((await ask(server, "GET", f"{PROFILES}search.do?name=*e*&ps=1000{only}", user="admin")).content)
        assert {entry.findtext(f"{ATOM}contributor/{SNX}userState") for entry in feed.iter(f"{ATOM}entry")} == states


async def test_search_is_limited_to_250_and_paged(directory: Directory, ask: Any, parse: Any) -> None:
    server = app(directory)
    feed = parse((await ask(server, "GET", f"{PROFILES}search.do?name=*", user="admin")).content)
    assert feed.findtext(f"{OPENSEARCH}totalResults") == "250"
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert "page=25" in links["last"]
    assert f"{SN}/connections/colleague" not in links
    second = parse((await ask(server, "GET", links["next"], user="admin")).content)
    assert len(set(_found(feed)) | set(_found(second))) == 20


@pytest.mark.parametrize(
    "criteria",
    ["city=Graz", "country=aust*", "jobTitle=Engineer", "organization=Research*", "phoneNumber=*000000%",
     "school=hill*", "profileTags=chess", "search=*chess*", "name=*e*&city=Graz"],
)  # fmt: skip
async def test_other_criteria(directory: Directory, ask: Any, parse: Any, criteria: str) -> None:
    url = f"{PROFILES}search.do?{criteria.replace('%', '%25')}&ps=250&activeUsersOnly=false"
    found = _found(parse((await ask(app(directory), "GET", url, user="admin")).content))
    assert 1 <= len(found) < 250


async def test_search_by_identifier_is_fast(ask: Any, parse: Any) -> None:
    directory = Directory.generate(people=1_000_000, seed=1)
    person = next(person for person in directory.people[123_456:] if person.state == "active")
    for kind in ("email", "userid"):
        url = f"{PROFILES}search.do?{_named(person, kind)}"
        assert _found(parse((await ask(app(directory), "GET", url, user="admin")).content)) == [str(person.userid)]


@pytest.mark.parametrize("path", ["@me", "@me/", "@me/@self", "@me/@self/"])
async def test_me(directory: Directory, ask: Any, path: str) -> None:
    server = app(directory)
    for person in directory.people[:60]:
        response = await ask(server, "GET", f"/connections/opensocial/basic/rest/people/{path}", user=person)
        assert response.headers["content-type"].startswith("application/json")
        entry = response.json()["entry"]
        assert entry["id"].rpartition(":")[2] == str(person.userid)
        assert entry["displayName"] == person.name


@pytest.mark.parametrize("emails", ["exposed", "hidden"])
@pytest.mark.parametrize("application", ["profiles", "communities"])
async def test_service_configs_show_whether_addresses_are_hidden(
    directory: Directory, ask: Any, parse: Any, emails: Any, application: str
) -> None:
    response = await ask(app(directory, emails=emails), "GET", f"/{application}/serviceconfigs")
    feed = parse(response.content)
    category = feed.find(f"{ATOM}category")
    assert (category.get("scheme"), category.get("term")) == (f"{SN}/configuration", f"email-{emails}")
    titles = {entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")}
    assert {"profiles", "communities"} <= titles
