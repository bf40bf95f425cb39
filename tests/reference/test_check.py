"""The check of protocol page "Checking whether two people are colleagues", in process."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from aioconnections.errors import InvalidInputError
from aioconnections.records import Email, Identity, Person, Status, Userid
from aioconnections.reference import ADMINISTRATOR, Directory, app

if TYPE_CHECKING:
    from aioconnections.reference.settings import Version

pytestmark = pytest.mark.asyncio
CHECK = "/profiles/atom/connection.do?"
ATOM, SNX = "{http://www.w3.org/2005/Atom}", "{http://www.ibm.com/xmlns/prod/sn}"
VERSIONS: tuple[Version, ...] = ("4.5", "5.0", "6.0")

INVALID_6_0 = (
    b'<?xml version="1.0" encoding="UTF-8"?>\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n'
    b'<error xmlns="http://www.ibm.com/xmlns/prod/sn">\r\n'
    b"\t<code>\r\n\t\t400\r\n\t</code>\r\n"
    b"\t<message>\r\n\t\tCLFRN1172E: The request is invalid.\r\n\t</message>\r\n"
    b"\t<trace>\r\n\t\tOMITTED\r\n\t</trace>\r\n</error>\r\n\r\n\r\n"
)


def _identity(person: Person, kind: str) -> Identity:
    found: Identity = getattr(person, kind)
    return found


@pytest.mark.parametrize("kind", ["email", "userid", "key"])
async def test_status_in_both_directions(directory: Directory, ask: Any, query: Any, kind: str) -> None:
    server = app(directory)
    for source, target in directory.sample_pairs(200, seed=3):
        for one, other in ((source, target), (target, source)):
            target_url = CHECK + query(_identity(one, kind), _identity(other, kind))
            response = await ask(server, "HEAD", target_url, user="admin")
            truth = directory.status(one, other)
            assert response.status_code == (404 if truth is None else 200)
            assert response.headers.get("X-Profiles-Connection-Status") == truth
            assert response.content == b""


async def test_kinds_of_identity_may_differ(directory: Directory, ask: Any, query: Any, pair: Any) -> None:
    source, target = pair(Status.PENDING)
    response = await ask(app(directory), "HEAD", CHECK + query(source.email, target.key), user="admin")
    assert response.headers["x-profiles-connection-status"] == "pending"


async def test_special_characters_in_identities(directory: Directory, ask: Any, query: Any) -> None:
    server = app(directory)
    awkward = [person for person in directory.people if not str(person.userid).isalnum()]
    awkward = [person for person in awkward if len(str(person.userid)) != 36]
    assert len(awkward) > 20
    for person in awkward:
        other, status = next(directory.neighbours(person))
        response = await ask(server, "HEAD", CHECK + query(person.userid, other.userid), user="admin")
        assert response.headers["x-profiles-connection-status"] == status


async def test_surrounding_spaces_are_ignored(directory: Directory, ask: Any, query: Any, pair: Any) -> None:
    target = CHECK + query(*(person.email for person in pair(Status.ACCEPTED))) + "%20"
    assert (await ask(app(directory), "HEAD", target, user="admin")).status_code == 200


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("status", [*Status, None])
async def test_head_has_the_headers_of_get(
    directory: Directory, ask: Any, query: Any, pair: Any, version: Version, status: Status | None
) -> None:
    source, target = pair(status)
    server = app(directory, version=version)
    url = CHECK + query(source.userid, target.userid)
    head, get = await ask(server, "HEAD", url, user=source), await ask(server, "GET", url, user=source)
    assert head.status_code == get.status_code
    assert head.headers.multi_items() == get.headers.multi_items()
    assert head.content == b"" != get.content


async def test_headers_of_a_connection_as_recorded(
    directory: Directory, ask: Any, query: Any, pair: Any, parse: Any
) -> None:
    source, target = pair(Status.UNCONFIRMED)
    response = await ask(app(directory), "GET", CHECK + query(source.key, target.key), user=source)
    headers = response.headers
    assert headers["content-type"] == "application/atom+xml;charset=UTF-8"
    assert headers["x-profiles-connection-type"] == "colleague"
    assert headers["x-profiles-connection-status"] == "unconfirmed"
    assert headers["cache-control"] == "private, max-age=600, no-cache=set-cookie"
    assert headers["expires"] == "Thu, 01 Dec 1994 16:00:00 GMT"
    updated = datetime.fromisoformat(parse(response.content).findtext(f"{ATOM}updated"))
    assert parsedate_to_datetime(headers["last-modified"]) == updated.replace(microsecond=0)
    assert "2017-01-01" < str(updated) < "2018"
    assert "etag" not in headers


@pytest.mark.parametrize(
    ("version", "cookies", "auth", "vary"),
    [
        ("4.5", {"LCSESSIONID", "lcLang", "LtpaToken", "LtpaToken2"}, "false", None),
        ("5.0", {"ICSESSIONID", "lcLang", "LtpaToken2"}, "false", None),
        ("6.0", {"JSESSIONID", "lcLang", "LtpaToken2"}, "true", "Accept-Encoding"),
    ],
)
async def test_headers_by_version(
    directory: Directory,
    ask: Any,
    query: Any,
    pair: Any,
    version: Version,
    cookies: set[str],
    auth: str,
    vary: str | None,
) -> None:
    source, target = pair(Status.ACCEPTED)
    response = await ask(app(directory, version=version), "GET", CHECK + query(source.key, target.key), user=source)
    assert set(response.cookies) == cookies
    assert response.headers["x-lconn-auth"] == auth
    assert response.headers.get("vary") == vary
    assert (b"snx:isExternal" in response.content) is (version != "4.5")


@pytest.mark.parametrize("status", list(Status))
async def test_entry_shows_the_side_of_its_source(
    directory: Directory, ask: Any, query: Any, pair: Any, parse: Any, status: Status
) -> None:
    source, target = pair(status)
    response = await ask(app(directory), "GET", CHECK + query(source.userid, target.userid), user=source)
    entry = parse(response.content)
    assert entry.tag == f"{ATOM}entry"
    names = " ".join(child.tag.partition("}")[2] for child in entry)
    assert names == (
        "id title updated category category category author contributor connection content link link summary"
    )
    assert entry.findtext(f"{ATOM}title") == target.name
    assert {(c.get("scheme").rpartition("/sn/")[2], c.get("term")) for c in entry.iter(f"{ATOM}category")} == {
        ("type", "connection"),
        ("connection/type", "colleague"),
        ("status", status),
    }
    ends = {end.get(f"{SNX}rel").rpartition("/")[2]: end for end in entry.find(f"{SNX}connection")}
    for end, person in (("source", source), ("target", target)):
        assert ends[end].findtext(f"{ATOM}name") == person.name
        assert ends[end].findtext(f"{SNX}userid") == str(person.userid)
        assert ends[end].findtext(f"{ATOM}email") == str(person.email)
        assert ends[end].findtext(f"{SNX}userState") == person.state
        assert ends[end].findtext(f"{SNX}isExternal") == str(person.external).lower()
    # protocol: the author made the row, and the contributor changed it last
    userids = [entry.find(f"{ATOM}{name}").findtext(f"{SNX}userid") for name in ("author", "contributor")]
    inviter_and_last = {
        Status.ACCEPTED: (source, target),
        Status.UNCONFIRMED: (source, source),
        Status.PENDING: (target, target),
    }
    assert userids == [str(person.userid) for person in inviter_and_last[status]]


async def test_links_of_an_entry_return_the_entry(
    directory: Directory, ask: Any, query: Any, pair: Any, parse: Any
) -> None:
    source, target = pair(Status.PENDING)
    server = app(directory, context="/ctx")
    first = await ask(server, "GET", f"/ctx{CHECK}{query(source.userid, target.userid)}", user=source)
    entry = parse(first.content)
    links = {link.get("rel"): link.get("href") for link in entry.iter(f"{ATOM}link")}
    connection_id = entry.findtext(f"{ATOM}id").removeprefix("tag:profiles.ibm.com,2006:entry")
    base = "https://connections.example.com/ctx/profiles/atom/connection.do?connectionId="
    assert links == {"self": base + connection_id, "edit": f"{base}{connection_id}&inclMessage=true"}
    again = await ask(server, "GET", links["self"], user=source)
    assert again.content == first.content
    other_side = await ask(server, "GET", f"/ctx{CHECK}{query(target.userid, source.userid)}", user=target)
    assert parse(other_side.content).findtext(f"{ATOM}id") != entry.findtext(f"{ATOM}id")
    nowhere = await ask(server, "GET", f"/ctx{CHECK}connectionId={connection_id[::-1]}", user=source)
    assert nowhere.status_code == 404


async def test_only_the_source_reads_the_message(directory: Directory, ask: Any, query: Any, parse: Any) -> None:
    server = app(directory)
    seen: set[str] = set()
    for source, target in directory.sample_pairs(40):
        if directory.status(source, target) is not None:
            url = CHECK + query(source.userid, target.userid)
            by_source, silent, by_target = [
                parse((await ask(server, "GET", url + rest, user=user)).content).findtext(f"{ATOM}content")
                for rest, user in (("&inclMessage=true", source), ("", source), ("&inclMessage=true", "admin"))
            ]
            assert silent == by_target == ""
            seen.add(by_source)
    assert any("<b>R&amp;D</b>" in message for message in seen)


async def test_other_people_see_accepted_connections_only(
    directory: Directory, ask: Any, query: Any, pair: Any
) -> None:
    server = app(directory)
    for status in Status:
        source, target = pair(status)
        outsider = next(person for person in directory.people if person not in (source, target))
        url = CHECK + query(source.userid, target.userid)
        expected = 200 if status is Status.ACCEPTED else 404
        assert (await ask(server, "HEAD", url, user=outsider)).status_code == expected
        for insider in (source, target, "admin"):
            assert (await ask(server, "HEAD", url, user=insider)).status_code == 200


async def test_no_connection_gives_an_error_document_of_profiles(
    directory: Directory, ask: Any, query: Any, pair: Any, parse: Any
) -> None:
    response = await ask(app(directory), "GET", CHECK + query(*(p.key for p in pair(None))), user="admin")
    assert response.status_code == 404
    assert response.headers["content-type"] == "text/xml;charset=UTF-8"
    error = parse(response.content)
    assert error.tag == f"{SNX}error"
    assert error.findtext(f"{SNX}code").strip() == "404"


@pytest.mark.parametrize(
    "wrong",
    [
        "sourceKey={a}&targetKey={b}",
        "connectionType=&sourceKey={a}&targetKey={b}",
        "connectionType=friend&sourceKey={a}&targetKey={b}",
        "connectionType=colleague&sourceKey={a}",
        "connectionType=colleague&targetKey={b}",
        "connectionType=colleague&sourceKey={a}&sourceKey={a}&targetKey={b}",
        "connectionType=colleague&sourceKey={a}&sourceUserid=x&targetKey={b}",
        "connectionType=colleague&sourceKey={a}&targetKey={b}&targetEmail=x%40example.com",
        "connectionType=colleague&sourceUserId={a}&targetKey={b}",
        "connectionType=colleague&sourceKey={a}&targetKey=%FF",
        "connectionType=colleague&sourceKey={a}&targetKey=%zz",
        "",
    ],
)
async def test_malformed_check_is_refused_with_the_vendors_message(
    directory: Directory, ask: Any, pair: Any, wrong: str
) -> None:
    source, target = pair(Status.ACCEPTED)
    url = CHECK + wrong.format(a=source.key, b=target.key)
    response = await ask(app(directory), "GET", url, user="admin")
    assert response.status_code == 400
    assert response.headers["content-type"] == "text/xml;charset=UTF-8"
    assert response.content == INVALID_6_0


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unknown_person_by_version(
    directory: Directory, ask: Any, query: Any, version: Literal["4.5", "5.0", "6.0"]
) -> None:
    server, unknown, known = app(directory, version=version), Email("nobody@example.com"), directory.people[1]
    for ends in ((unknown, known.key), (known.key, unknown)):
        response = await ask(server, "GET", CHECK + query(*ends), user="admin")
        assert response.status_code == (404 if version == "4.5" else 400)
        assert (b"\r\n" in response.content) is (version == "6.0")
        assert response.headers.get("connection") == ("close" if version == "5.0" else None)


async def test_no_connection_to_oneself_or_the_administrator(directory: Directory, ask: Any, query: Any) -> None:
    person = directory.people[0]
    for other in (person, ADMINISTRATOR):
        response = await ask(app(directory), "HEAD", CHECK + query(person.key, other.userid), user="admin")
        assert response.status_code == 404


async def test_hidden_addresses_are_neither_accepted_nor_shown(
    directory: Directory, ask: Any, query: Any, pair: Any
) -> None:
    source, target = pair(Status.ACCEPTED)
    server = app(directory, emails="hidden")
    for ends in ((source.email, target.key), (source.key, target.email)):
        assert (await ask(server, "HEAD", CHECK + query(*ends), user="admin")).status_code == 400
    shown = await ask(server, "GET", CHECK + query(source.userid, target.key), user="admin")
    assert shown.status_code == 200
    assert b"email" not in shown.content


@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(text=st.text(min_size=1))
async def test_any_identity_gets_a_documented_status(directory: Directory, ask: Any, query: Any, text: str) -> None:
    try:
        identity = Userid(text)
    except InvalidInputError:
        reject()
    response = await ask(app(directory), "GET", CHECK + query(identity, directory.people[0].key), user="admin")
    assert response.status_code in ({200, 404} if directory.find(identity) else {400})
