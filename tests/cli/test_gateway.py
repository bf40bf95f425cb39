"""Every command that follows links of the server, behind a gateway with another host and path than the links name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aioconnections.reference import Directory, app

Command = Callable[..., Any]
DIRECTORY = Directory.generate(people=60, seed=7)  # as in conftest
ME, *OTHERS = DIRECTORY.people
STRANGER = next(person for person in OTHERS if DIRECTORY.status(ME, person) is None)
COMMUNITY = next(community for community in DIRECTORY.communities if community.invited)
INSIDE = {person.userid for person in (*COMMUNITY.owners, *COMMUNITY.members, *COMMUNITY.invited)}
GUESTS = [person for person in OTHERS if person.userid not in INSIDE]


@pytest.fixture(autouse=True)
def gateway(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    signed_in.app = app(DIRECTORY, context="/ctx", link_base="http://inner.example.com:9080", max_ps=3)
    monkeypatch.setenv("AIOCONNECTIONS_URL", f"{signed_in.url}/ctx/")
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(ME.userid))
    return signed_in


def test_colleagues_are_invited_accepted_and_removed_behind_a_gateway(command: Command, gateway: Any) -> None:
    invited = command("invite", "--key", STRANGER.key, "--no-journal")
    assert invited.rows[0]["connection_id"]
    steps = (("pending", "accept", "accepted"), ("unconfirmed", "remove", "removed"), ("accepted", "remove", "removed"))
    rows = []
    for status, verb, outcome in steps:
        listed = command("colleagues", "--userid", ME.userid, "--status", status, "-o", "listed.csv")
        assert listed.code == 0
        said = command(verb, "listed.csv")
        rows = said.rows
        assert (said.code, {row["outcome"] for row in rows}) == (0, {outcome})
    assert len(rows) > 3  # several pages
    assert {commit.verb for commit in gateway.app.commits} == {"invite", "accept", "remove"}
    assert gateway.app.requests.by_status.keys() == {200, 201}


def test_all_pages_of_a_search_are_read_behind_a_gateway(command: Command) -> None:
    found = command("search", "--name", "*")
    assert (found.code, len({row["userid"] for row in found.rows}) > 50) == (0, True)


def test_invitations_to_communities_are_answered_behind_a_gateway(
    command: Command, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCONNECTIONS_USER", str(COMMUNITY.owners[0].userid))
    command("community", "invitations", COMMUNITY.uuid, "-o", "listed.csv")
    revoked = command("invitations", "revoke", "listed.csv")
    assert (revoked.code, {row["outcome"] for row in revoked.rows}) == (0, {"removed"})
    for person, verb, outcome in ((GUESTS[0], "accept", "accepted"), (GUESTS[1], "decline", "removed")):
        monkeypatch.setenv("AIOCONNECTIONS_USER", str(COMMUNITY.owners[0].userid))
        command("community", "invite", COMMUNITY.uuid, "--userid", person.userid, "--no-journal")
        monkeypatch.setenv("AIOCONNECTIONS_USER", str(person.userid))
        command("invitations", "list", "-o", "mine.csv")
        said = command("invitations", verb, "mine.csv")
        assert (said.code, {row["outcome"] for row in said.rows}) == (0, {outcome})
    assert 404 not in gateway.app.requests.by_status
