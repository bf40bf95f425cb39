"""An error document that names people: its addresses are in an attribute of the error, and in no text or log."""

from __future__ import annotations

import logging

import httpx
import pytest
from doors import Script, client_of

from aioconnections import BadRequestError, Email, Pair, Rejected, Userid
from aioconnections.journal import Journal

pytestmark = pytest.mark.anyio

SAID = "CLFRN1172E: There is no user with email amy.jones@example.com; ask carol@example.com."
TEXT = "There is no user with email (an e-mail address); ask (an e-mail address)."
DOCUMENT = f'<error xmlns="http://www.ibm.com/xmlns/prod/sn"><code>400</code><message>{SAID}</message></error>'


async def refused(_: httpx.Request) -> httpx.Response:
    return httpx.Response(400, headers={"content-type": "text/xml;charset=UTF-8"}, content=DOCUMENT.encode())


async def test_no_user_with_email_stays_out_of_the_text_of_a_single_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "aioconnections")
    async with client_of(Script(refused)) as client:
        for call in (client.invite(Userid("bob")), client.admin.connect(Userid("bob"), Userid("c"))):
            with pytest.raises(BadRequestError) as caught:
                await call
            assert str(caught.value) == f"HTTP 400: CLFRN1172E: {TEXT}"
            assert "amy.jones@example.com" in caught.value.message
    assert caplog.records
    assert "@" not in caplog.text


async def test_no_user_with_email_stays_out_of_the_errors_of_a_run(tmp_path: str) -> None:
    """A result row names the item's own people and no others; the journal keeps the server's message."""
    people = [Email("bob.smith@example.com")]
    for replayed in (False, True):
        async with client_of(Script(refused)) as client:
            journal = Journal(f"{tmp_path}/j.sqlite")
            async with client.invite_many(people, journal=journal) as outcomes:
                (outcome,) = [outcome async for outcome in outcomes]
        assert isinstance(outcome, Rejected)
        assert outcome.replayed is replayed
        row = outcome.as_dict()
        assert (row["email"], row["error"]) == (people[0].value, f"BadRequestError: HTTP 400: CLFRN1172E: {TEXT}")
        assert isinstance(outcome.error, BadRequestError)
        assert "amy.jones@example.com" in outcome.error.message


async def test_no_user_with_email_stays_out_of_the_reason_that_a_run_stopped_for() -> None:
    async def failing(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            429, headers={"content-type": "text/xml", "retry-after": "4000"}, content=DOCUMENT.encode()
        )

    async with client_of(Script(failing)) as client:
        async with client.check_many([Pair(Userid("a"), Userid("b"))]) as outcomes:
            rows = [outcome.as_dict() async for outcome in outcomes]
        assert outcomes.stopped is not None
        assert "@" not in f"{outcomes.stopped}{rows}"
