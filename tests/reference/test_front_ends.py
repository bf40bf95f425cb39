"""What stands in front of a server: gateways, web servers with their own pages, and logins on other paths."""

from __future__ import annotations

from typing import Any

import pytest

from aioconnections.records import Status
from aioconnections.reference import Directory, Fault, app

pytestmark = pytest.mark.asyncio
SERVICE = "/profiles/atom/profileService.do"
CHECK = "/profiles/atom/connection.do?"
INNER = "https://inner.example.com:9443/apps"


@pytest.mark.parametrize(
    ("context", "path", "status"),
    [
        ("", SERVICE, 200),
        ("/ctx", f"/ctx{SERVICE}", 200),
        ("/a/b", f"/a/b{SERVICE}", 200),
        ("", f"/ctx{SERVICE}", 404),
        ("", "/profilesX/atom/profileService.do", 404),
        ("/ctx", SERVICE, 404),
        ("/ctx", f"/ctxt{SERVICE}", 404),
        ("/ctx", f"/ctx/ctx{SERVICE}", 404),
        ("/ctx", "/ctx", 404),
    ],
)
async def test_a_wrong_path_prefix_is_the_404_of_websphere(
    directory: Directory, ask: Any, context: str, path: str, status: int
) -> None:
    response = await ask(app(directory, context=context), "GET", path, user="admin")
    assert response.status_code == status
    if status == 404:
        assert response.headers["content-type"] == "text/html;charset=UTF-8"
        assert f"SRVE0255E: A WebGroup/Virtual Host to handle {path} has not been defined." in response.text


async def test_behind_a_gateway_all_links_name_the_inner_server(
    directory: Directory, ask: Any, pair: Any, query: Any, invitation: Any
) -> None:
    server = app(directory, context="/ctx", link_base=INNER, max_ps=2)
    source, target = pair(Status.PENDING)
    group = directory.communities[0]
    targets = (
        SERVICE,
        CHECK + query(source.userid, target.userid),
        f"/profiles/atom/connections.do?connectionType=colleague&key={source.key}",
        f"/profiles/atom/profile.do?key={source.key}",
        "/profiles/serviceconfigs",
        f"/communities/service/atom/community/invites?communityUuid={group.uuid}",
    )
    for where in targets:
        response = await ask(server, "GET", f"/ctx{where}", user="admin")
        assert response.status_code == 200
        assert "connections.example.com" not in response.text.replace("@connections.example.com", "")
        assert INNER in response.text
    one, other = pair(None)
    url = f"/ctx/profiles/atom/connections.do?connectionType=colleague&key={other.key}"
    made = await ask(server, "POST", url, user=one, content=invitation())
    assert made.headers["location"].startswith(f"{INNER}/profiles/atom/connection.do?connectionId=")


async def test_a_single_sign_on_in_front_of_a_gateway_is_at_its_own_address(directory: Directory, ask: Any) -> None:
    server = app(directory, auth="form", context="/ctx", link_base=INNER)
    response = await ask(server, "GET", f"/ctx{SERVICE}")
    assert response.headers["location"].startswith("https://connections.example.com/ctx/auth/login?")


@pytest.mark.parametrize("status", [None, 200, 403, 410, 500, 599])
async def test_a_front_end_sends_its_pages_with_any_status(directory: Directory, ask: Any, status: int | None) -> None:
    server = app(directory, front_end_pages=True, front_end_status=status)
    for missing in (f"{CHECK}connectionId=x", "/communities/service/atom/community?communityUuid=x"):
        response = await ask(server, "GET", missing, user="admin")
        assert (response.status_code, response.headers["content-type"]) == (status or 404, "text/html;charset=UTF-8")
    assert (await ask(server, "GET", SERVICE, user="admin")).headers["content-type"].startswith("application/atomsvc")


@pytest.mark.parametrize("status", [200, 204, 302, 404, 599])
async def test_a_fault_sends_a_page_with_any_status(directory: Directory, ask: Any, status: int) -> None:
    server = app(directory, faults=[Fault("refuse", status=status)])
    response = await ask(server, "GET", SERVICE, user="admin")
    assert (response.status_code, bool(response.content)) == (status, status != 204)
    assert response.headers["content-type"] == "text/html;charset=UTF-8"


async def test_tokens_are_accepted_on_ordinary_paths_on_request(directory: Directory, ask: Any) -> None:
    server = app(directory, auth="oauth", tokens={"t0ken": directory.people[0]}, token_paths="ordinary")
    bearer = {"Authorization": "Bearer t0ken"}
    assert (await ask(server, "GET", SERVICE, headers=bearer)).status_code == 200
    assert (await ask(server, "GET", "/profiles/oauth/atom/profileService.do", headers=bearer)).status_code == 401
    refused = await ask(server, "GET", SERVICE, user="admin")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="lotus-connections"')
    own = await ask(server, "GET", "/reference/commits")
    assert own.headers["www-authenticate"] == 'Basic realm="lotus-connections"'
