"""The log of changes, for tests of clients."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from aioconnections.reference import Commit, Directory, app

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio
INVITE = "/profiles/atom/connections.do?connectionType=colleague"
COMMITS = "/reference/commits"


async def test_without_dedup_each_invitation_is_committed(
    directory: Directory, ask: Any, invitation: Any, pair: Any, query: Any
) -> None:
    alice, bob = pair(None)
    server = app(directory, dedup=False, clock=lambda: 1_700_000_000.5)
    locations = [
        (await ask(server, "POST", f"{INVITE}&key={bob.key}", user=alice, content=invitation())).headers["location"]
        for _ in range(3)
    ]
    assert len(set(locations)) == 3
    assert [commit[:6] for commit in server.commits] == [
        (number, 1_700_000_000.5, "invite", str(alice.userid), str(alice.userid), str(bob.userid))
        for number in range(3)
    ]
    ids = [commit.subject for commit in server.commits]
    assert len(set(ids)) == 3
    shown = await ask(server, "GET", f"/profiles/atom/connection.do?{query(alice.key, bob.key)}", user=alice)
    assert ids[-1] in shown.text
    assert (await ask(server, "GET", locations[0], user=bob)).status_code == 404
    assert (await ask(server, "GET", locations[-1], user=bob)).status_code == 200


async def test_commits_are_read_over_http_and_from_a_file(
    directory: Directory, ask: Any, invitation: Any, tmp_path: Path
) -> None:
    path = tmp_path / "commits.jsonl"
    alice = directory.people[0]
    strangers = [person for person in directory.people[1:] if directory.status(alice, person) is None][:5]
    server = app(directory, commit_log=path)
    assert path.read_bytes() == b""
    for person in strangers:
        await ask(server, "POST", f"{INVITE}&key={person.key}", user=alice, content=invitation())
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [Commit(**json.loads(line)) for line in lines] == list(server.commits)
    assert [commit.target for commit in server.commits] == [str(person.userid) for person in strangers]
    for after, expected in (("", lines), ("?after=2", lines[3:]), ("?after=99", []), ("?after=-5", lines)):
        response = await ask(server, "GET", COMMITS + after, user="admin")
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.text.splitlines() == expected
    assert (await ask(server, "GET", f"{COMMITS}?after=x", user="admin")).status_code == 400
    assert (await ask(server, "GET", COMMITS, user=alice)).status_code == 401
    assert (await ask(server, "DELETE", COMMITS, user="admin")).status_code == 405
    second = app(directory, commit_log=str(path))
    assert second.commits == []
    await ask(second, "POST", f"{INVITE}&key={strangers[0].key}", user=alice, content=invitation())
    assert len(path.read_text(encoding="utf-8").splitlines()) == 6


@pytest.mark.parametrize("name", ["nowhere/commits", "commits"])
async def test_unwritable_file_is_refused(directory: Directory, tmp_path: Path, name: str) -> None:
    (tmp_path / "commits").mkdir()
    with pytest.raises(OSError, match="commits"):
        app(directory, commit_log=tmp_path / name)


async def test_commits_require_the_password_on_oauth_servers(directory: Directory, ask: Any) -> None:
    server = app(directory, auth="oauth", tokens={"t": directory.people[0]})
    assert (await ask(server, "GET", COMMITS, user="admin")).status_code == 200
    assert (await ask(server, "GET", COMMITS, headers={"Authorization": "Bearer t"})).status_code == 401


async def test_second_server_starts_from_the_same_state(
    directory: Directory, ask: Any, invitation: Any, pair: Any
) -> None:
    alice, bob = pair(None)
    first, second = app(directory), app(directory)
    await ask(first, "POST", f"{INVITE}&key={bob.key}", user=alice, content=invitation())
    assert first.status(alice, bob) == "unconfirmed"
    assert second.status(alice, bob) is None
