"""A refusal to a HEAD has no body: what it means is asked once for each kind of head, by GET."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio.lowlevel
import httpx
import pytest
import trio
from doors import client_of, everything, number_of, on_virtual_time, pairs, refusal, status, there

from aioconnections import BadRequestError, Checked, Failed, ForeignAnswerError, Rejected

HTML = {"content-type": "text/html;charset=UTF-8"}
STOPPED = "<html><body><h1>Error 404: SRVE0255E: A WebGroup/Virtual Host has not been defined.</h1></body></html>"
DOCUMENT = refusal(404).content


class Front(httpx.AsyncBaseTransport):
    """Answers HEAD and GET of a check as it is told, and canaries as a server does that is there."""

    def __init__(
        self, head: Callable[[httpx.Request], httpx.Response], get: Callable[[httpx.Request], httpx.Response]
    ) -> None:
        self._head = head
        self._get = get
        self.methods: list[str] = []
        self.canaries = 0
        self.lets_head_through = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        if not request.url.path.endswith("connection.do"):
            if request.method == "HEAD" and self.lets_head_through is False:
                return html()
            self.canaries += request.method == "GET" and request.url.path.endswith("serviceconfigs")
            return there(request)
        self.methods.append(request.method)
        return self._head(request) if request.method == "HEAD" else self._get(request)


def always(answer: Callable[[], httpx.Response]) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: answer()


def bare() -> httpx.Response:
    return httpx.Response(404, headers={"date": "Sat, 28 Nov 2026 12:00:00 GMT", "set-cookie": "lcLang=en; Path=/"})


def html(code: int = 404, content: str | bytes = "<html>No.</html>") -> httpx.Response:
    return httpx.Response(code, headers=HTML, content=content)


def checks(front: Front, count: int = 30, **options: Any) -> tuple[list[Any], Any]:
    found: list[Any] = []
    runs: list[Any] = []

    async def main() -> None:
        async with client_of(front, max_connections=4, max_per_second=100, **options) as client:
            runs.append(client.check_many(pairs(count)))
            found.extend(await everything(runs[0]))

    on_virtual_time(main)
    return found, runs[0]


def test_an_error_document_of_the_same_type_makes_the_head_the_applications_own() -> None:
    front = Front(always(html), lambda _: html(content=DOCUMENT))
    found, run = checks(front)
    assert {type(outcome) for outcome in found} == {Checked}
    assert front.methods.count("GET") == 1
    assert front.canaries == 0
    assert run.tally.status_none == 30


def test_a_head_without_a_type_is_confirmed_by_a_second_one() -> None:
    front = Front(always(bare), lambda _: refusal(404))
    found, run = checks(front)
    assert run.tally.status_none == 30
    assert front.methods[:3] in (["HEAD", "GET", "HEAD"], ["HEAD"] * 3)
    assert front.methods.count("GET") == 1
    assert front.methods.count("HEAD") == 31
    assert front.canaries == 0
    assert sorted(outcome.index for outcome in found) == list(range(30))


def test_where_get_is_answered_in_another_form_than_head_each_pair_is_asked_by_get() -> None:
    """The application may have come back in between, so nothing is learned of the head."""
    front = Front(always(html), lambda _: refusal(404))
    _, run = checks(front)
    assert run.tally.status_none == 30
    assert front.methods.count("GET") == 30


def test_a_page_of_the_application_server_makes_the_head_foreign() -> None:
    front = Front(lambda request: status("accepted") if number_of(request) else html(), lambda _: html(content=STOPPED))
    found, run = checks(front)
    assert run.tally.checked == 29
    (failed,) = [outcome for outcome in found if isinstance(outcome, Failed)]
    assert isinstance(failed.error, ForeignAnswerError)
    assert failed.attempts == 4 + 2  # and what was asked to learn who writes such pages
    assert "text/html" in str(failed.error)


def test_a_get_that_finds_the_connection_answers_for_its_pair() -> None:
    front = Front(always(html), lambda _: status("pending"))
    _, run = checks(front, count=1)
    assert run.tally.status_pending == 1


@pytest.mark.parametrize("code", [400, 404])
def test_an_undecided_page_is_a_verdict_between_two_good_canaries(code: int) -> None:
    front = Front(always(lambda: html(code)), lambda _: html(code))
    found, run = checks(front)
    assert {type(outcome) for outcome in found} == ({Checked} if code == 404 else {Rejected})
    assert all(isinstance(outcome.error, BadRequestError) for outcome in found if isinstance(outcome, Rejected))
    assert front.canaries >= 2
    assert front.methods.count("GET") == 1
    assert run.stopped is None


@pytest.mark.parametrize("code", [403, 409, 410, 417, 421, 426])
def test_what_a_gateway_says_by_itself_is_never_a_verdict(code: int) -> None:
    front = Front(lambda request: status("accepted") if number_of(request) else html(code), lambda _: html(code))
    found, run = checks(front)
    assert run.tally.checked == 29
    assert run.tally.failed == 1
    assert [outcome.index for outcome in found if isinstance(outcome, Failed)] == [0]


def test_a_get_that_is_not_answered_is_asked_again_with_the_next_pair() -> None:
    lost = iter([True, True])

    def get(_: httpx.Request) -> httpx.Response:
        if next(lost, False):
            raise httpx.ReadError("reset")
        return html(content=DOCUMENT)

    front = Front(always(html), get)
    _, run = checks(front)
    assert run.tally.status_none == 30
    assert 2 <= front.methods.count("GET") <= 4


def test_while_a_head_is_asked_about_the_others_with_it_wait() -> None:
    class Slow(Front):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "GET" and request.url.path.endswith("connection.do"):
                await trio.sleep(5)
            return await super().handle_async_request(request)

    front = Slow(always(html), lambda _: html(content=DOCUMENT))
    _, run = checks(front, count=300)
    assert run.tally.status_none == 300
    assert front.methods.count("GET") == 1


@pytest.mark.parametrize("get", [html, lambda: refusal(404)])
def test_behind_a_front_end_that_refuses_every_head_each_pair_is_asked_by_get(
    get: Callable[[], httpx.Response],
) -> None:
    """What HEAD is answered says nothing there, so nothing is learned from it."""
    front = Front(always(html), lambda request: status("accepted") if number_of(request) >= 20 else get())
    front.lets_head_through = False
    _, run = checks(front)
    assert (run.tally.status_none, run.tally.status_accepted) == (20, 10)
    assert front.methods.count("GET") >= 30


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("late"), httpx.ReadError("reset"), 401, 405, 500])
def test_a_head_is_no_verdict_while_its_get_fails(failure: Exception | int) -> None:
    def get(_: httpx.Request) -> httpx.Response:
        if isinstance(failure, Exception):
            raise failure
        return httpx.Response(failure, headers=HTML, content="<html>No.</html>")

    front = Front(always(html), get)
    found, run = checks(front, count=3)
    assert run.tally.checked == 0
    assert len(found) == 3
