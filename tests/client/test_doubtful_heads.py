"""A refusal to a HEAD has no body: what it means is asked once for each kind of head, by GET."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio.lowlevel
import httpx
import pytest
import trio
from doors import client_of, everything, number_of, on_virtual_time, pairs, refusal, status, there

from aioconnections import (
    AuthenticationError,
    BadRequestError,
    Checked,
    Failed,
    ForbiddenError,
    ForeignResponseError,
    Rejected,
)

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


def disguised() -> httpx.Response:
    """A response of the application whose type something in front of it has replaced."""
    return html(content=DOCUMENT)


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
    front = Front(always(disguised), lambda _: disguised())
    found, run = checks(front)
    assert {type(outcome) for outcome in found} == {Checked}
    assert front.methods.count("GET") == 1
    assert front.canaries == 0
    assert run.tally.status_none == 30


def test_a_head_without_a_type_is_confirmed_by_a_second_one() -> None:
    def get(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404, headers=[*bare().headers.items(), *refusal(404).headers.items()], content=DOCUMENT)

    front = Front(always(bare), get)
    found, run = checks(front)
    assert run.tally.status_none == 30
    assert front.methods[:3] in (["HEAD", "GET", "HEAD"], ["HEAD"] * 3)
    assert front.methods.count("GET") == 1
    assert front.methods.count("HEAD") <= 32
    assert front.canaries == 0
    assert sorted(outcome.index for outcome in found) == list(range(30))


def test_where_get_is_answered_in_another_form_than_head_each_pair_is_asked_by_get() -> None:
    """The application may have come back in between, so nothing is learned of the head."""
    front = Front(always(html), lambda _: refusal(404))
    _, run = checks(front)
    assert run.tally.status_none == 30
    assert front.methods.count("GET") == 30


def test_a_page_of_the_application_server_makes_the_head_foreign() -> None:
    def stopped() -> httpx.Response:
        return html(content=STOPPED)

    front = Front(lambda request: status("accepted") if number_of(request) else stopped(), lambda _: stopped())
    found, run = checks(front)
    assert run.tally.checked == 29
    (failed,) = [outcome for outcome in found if isinstance(outcome, Failed)]
    assert isinstance(failed.error, ForeignResponseError)
    assert failed.attempts == 4 + 3  # and what was asked to learn who writes such pages
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
        return disguised()

    front = Front(always(disguised), get)
    _, run = checks(front)
    assert run.tally.status_none == 30
    assert 2 <= front.methods.count("GET") < 20  # until one is answered


def test_while_a_head_is_asked_about_the_others_with_it_wait() -> None:
    class Slow(Front):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "GET" and request.url.path.endswith("connection.do"):
                await trio.sleep(5)
            return await super().handle_async_request(request)

    front = Slow(always(disguised), lambda _: disguised())
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


def test_a_head_is_not_the_applications_own_because_it_came_back_before_the_get() -> None:
    """The page of a stopped application was answered to HEAD, and the document of the application to GET."""
    stopped = iter([True])

    def head(request: httpx.Request) -> httpx.Response:
        if number_of(request) < 100:
            return html(content=STOPPED) if next(stopped, False) else disguised()
        return html(content=STOPPED)  # and now it stops for good, which the canaries do not show

    front = Front(head, lambda request: disguised() if number_of(request) < 100 else html(content=STOPPED))
    found, run = checks(front, count=130)
    assert run.tally.status_none == 100
    assert {type(outcome) for outcome in found if outcome.index >= 100} == {Failed}


def test_a_head_is_not_foreign_because_the_application_stopped_for_its_get() -> None:
    stopped = iter([True])
    front = Front(always(html), lambda _: html(content=STOPPED) if next(stopped, False) else html())
    _, run = checks(front)
    assert run.tally.status_none == 30


@pytest.mark.parametrize(
    ("get", "kind"), [(lambda: refusal(400), BadRequestError), (lambda: refusal(403), ForbiddenError)]
)
def test_a_refusal_of_the_application_itself_to_the_get_is_the_verdict(
    get: Callable[[], httpx.Response], kind: type[Exception]
) -> None:
    found, _ = checks(Front(always(html), lambda _: get()))
    assert {type(outcome) for outcome in found} == {Rejected}
    assert {type(outcome.error) for outcome in found} == {kind}


@pytest.mark.parametrize(
    "get",
    [
        lambda: httpx.Response(401, headers=HTML),
        lambda: httpx.Response(302, headers={"location": "https://sso.example.com/login"}),
        lambda: httpx.Response(200, headers=HTML, content="<html>Sign in</html>"),
    ],
)
def test_a_login_that_is_refused_to_the_get_ends_the_run(get: Callable[[], httpx.Response]) -> None:
    front = Front(always(html), lambda _: get())
    found, run = checks(front)
    assert isinstance(run.stopped, AuthenticationError)
    assert not any(isinstance(outcome, Checked) for outcome in found)
    assert front.methods.count("GET") <= 4


@pytest.mark.parametrize("code", [429, 503])
def test_that_head_gets_through_is_not_denied_because_of_one_failure(code: int) -> None:
    class Busy(Front):
        failed = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "HEAD" and request.url.path.endswith("serviceconfigs") and not self.failed:
                self.failed += 1
                return httpx.Response(code)
            return await super().handle_async_request(request)

    front = Busy(always(html), lambda _: html())
    _, run = checks(front, count=300)
    assert run.tally.status_none == 300
    assert front.methods.count("GET") <= 150


def test_a_server_that_is_too_busy_for_a_canary_is_not_taken_for_stopped() -> None:
    class Busy(Front):
        busy = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "GET" and request.url.path.endswith("serviceconfigs") and self.busy < 3:
                self.busy += 1
                return httpx.Response(429)
            return await super().handle_async_request(request)

    front = Busy(always(html), lambda _: html())
    _, run = checks(front)
    assert run.tally.status_none == 30
    assert run.stopped is None
