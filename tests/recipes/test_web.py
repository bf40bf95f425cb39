"""The recipes for web frameworks, each as a server of its own, asked by a real client."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from backstage import Backstage, backstage, basic
from programs import serving

from aioconnections import Person
from aioconnections.reference import Fault

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
MOST_CONNECTIONS = 16  # of each process, as the recipes say
LOGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"log": {"class": "logging.StreamHandler"}},
    "root": {"level": "INFO", "handlers": ["log"]},
}
UVICORN = ("uvicorn", "--fd", "{fd}", "--timeout-graceful-shutdown", "10", "--log-config")
GUNICORN = ("gunicorn", "--bind", "fd://{fd}", "--preload", "--worker-class", "uvicorn_worker.UvicornWorker")

Login = Callable[[Backstage, Person | None], dict[str, str]]


def password(_: Backstage, person: Person | None) -> dict[str, str]:
    return basic(person) if person else basic(Person(name="Mallory"), "päßwörd")


def token(behind: Backstage, person: Person | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {behind.token_of(person) if person else 'expired'}"}


def cookie(behind: Backstage, person: Person | None) -> dict[str, str]:
    return {"Cookie": f"LtpaToken2={behind.ltpa_of(person) if person else 'b3V0ZGF0ZWQ='}"}


class Recipe(NamedTuple):
    """How a recipe is started, and how its users log in."""

    application: str
    login: Login
    kind: str = "basic"


RECIPES = {
    "fastapi": Recipe("fastapi_app:app", password),
    "litestar": Recipe("litestar_app:app", token, "oauth"),
    "django": Recipe("website.asgi:application", cookie),
}


class Site(NamedTuple):
    """A recipe that runs, and the reference server behind it."""

    url: str
    recipe: Recipe
    behind: Backstage
    log: Path

    def login(self, person: Person | None) -> dict[str, str]:
        """The headers of a signed-in user; of a wrong login without a person."""
        return self.recipe.login(self.behind, person)

    @asynccontextmanager
    async def browser(self, headers: dict[str, str] | None = None) -> AsyncGenerator[httpx.AsyncClient]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=self.url, headers=headers, limits=limits, timeout=120, trust_env=False
        ) as browser:
            yield browser


@pytest.fixture
def command(tmp_path: Path) -> tuple[str, ...]:
    """The server with one process, which logs the runs of our library."""
    (tmp_path / "logs.json").write_text(json.dumps(LOGS), encoding="utf-8")
    return (*UVICORN, str(tmp_path / "logs.json"))


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, command: tuple[str, ...]) -> Generator[Site]:
    recipe, log = RECIPES[request.param], tmp_path / "log"
    with backstage(recipe.kind) as behind:
        environment = {"AIOCONNECTIONS_URL": behind.url, "MAX_PER_SECOND": "2000", "DJANGO_SECRET_KEY": "for-tests"}
        program = serving(*command, recipe.application, folder=HERE, environment=environment, log=log, send_buffer=8192)
        with program as url:
            yield Site(url, recipe, behind, log)
    text = log.read_text("utf-8")
    assert "Traceback" not in text and "never retrieved" not in text, text  # noqa: PT018 # one reason
    assert "secret" not in text
    assert "token-of" not in text


all_recipes = pytest.mark.parametrize("site", RECIPES, indirect=True)
fastapi = pytest.mark.parametrize("site", ["fastapi"], indirect=True)


async def two_hundred_at_once(site: Site) -> None:
    """Each response is right for its user, and 40 of the requests have the same wrong login."""
    questions = site.behind.questions(160, users=10)
    headers = {user.userid: site.login(user) for user, _, _ in questions[:10]}
    wrong = site.login(None)
    refused_before = site.behind.refusals()
    async with site.browser() as browser:

        async def ask(user: Person, other: Person, login: dict[str, str]) -> httpx.Response:
            people = {"source": str(user.email), "target": str(other.email)}
            return await browser.get("/status", params=people, headers={**login, "X-Request-Timeout": "30"})

        right = [ask(user, other, headers[user.userid]) for user, other, _ in questions]
        refused = [ask(user, other, wrong) for user, other, _ in questions[:40]]
        responses = await asyncio.gather(*right, *refused)
    assert [(it.status_code, it.json()) for it in responses[:160]] == [
        (200, {"status": known}) for _, _, known in questions
    ]
    assert len({known for _, _, known in questions}) > 2
    assert {it.status_code for it in responses[160:]} == {401}
    assert site.behind.refusals() - refused_before > 0


@all_recipes
def test_two_hundred_requests_at_once_share_one_pool(site: Site) -> None:
    asyncio.run(two_hundred_at_once(site))
    assert site.behind.refusals() == 1, "a wrong login is sent once"
    own = 0 if site.recipe.login is not cookie else 10  # of the test, which got the cookies
    assert 1 < len(site.behind.connections) - own <= MOST_CONNECTIONS


@fastapi
@pytest.mark.parametrize("command", [(*UVICORN[:-1], "--workers", "2"), (*GUNICORN, "--workers", "2")])
def test_two_worker_processes_have_a_pool_each(site: Site) -> None:
    asyncio.run(two_hundred_at_once(site))
    assert 1 <= site.behind.refusals() <= 2
    assert 1 < len(site.behind.connections) <= 2 * MOST_CONNECTIONS


@all_recipes
def test_failures_have_their_status(site: Site) -> None:
    user, other, _ = site.behind.questions(1, users=1)[0]
    people = {"source": str(user.email), "target": str(other.email)}

    async def ask() -> None:
        async with site.browser(site.login(user)) as browser:
            invalid = await browser.get("/status", params={**people, "target": "two people"})
            assert invalid.status_code == 422
            for seconds in ("0", "31", "nan", "soon"):
                refused = await browser.get("/status", params=people, headers={"X-Request-Timeout": seconds})
                assert refused.status_code in {400, 422}, seconds
            late = await browser.get("/status", params=people, headers={"X-Request-Timeout": "0.000001"})
            assert late.status_code == 504
            for body in (b"{", b"{}", b"null"):
                unreadable = await browser.post("/check", content=body)
                assert unreadable.status_code in {400, 422}, body
            health = await browser.get("/health")
            assert (health.status_code, health.json()["connections_away"]) == (200, False)
        async with site.browser() as stranger:
            assert (await stranger.get("/status", params=people)).status_code == 401
            for _ in range(2):
                refused = await stranger.post("/check", json=[people], headers=site.login(None))
                assert refused.status_code == 401

    asyncio.run(ask())
    assert site.behind.refusals() == 1


@all_recipes
def test_the_health_check_says_when_the_server_is_away(site: Site) -> None:
    questions = site.behind.questions(40, users=1)
    login = {**site.login(questions[0][0]), "X-Request-Timeout": "5"}

    async def reported(browser: httpx.AsyncClient) -> bool:
        health = await browser.get("/health")
        assert health.status_code == 200
        return bool(health.json()["connections_away"])

    async def ask() -> None:
        async with site.browser() as browser:
            emails = [{"source": str(one.email), "target": str(other.email)} for one, other, _ in questions]
            assert (await browser.get("/status", params=emails[0], headers=login)).status_code == 200
            site.behind.server.faults = [Fault("refuse", status=503)]
            calls = [browser.get("/status", params=people, headers=login) for people in emails]
            asking = asyncio.gather(*calls)
            while not (await reported(browser) or asking.done()):  # noqa: ASYNC110 # the server is another process
                await asyncio.sleep(0.2)
            assert await reported(browser)
            for response in await asking:
                assert response.status_code in {503, 504}
                assert ("retry-after" in response.headers) is (response.status_code == 503)

    asyncio.run(ask())


def rows_of(site: Site, count: int) -> tuple[Person, list[dict[str, str]]]:
    """A user, and pairs of the user with other people, among them rows that name no pair."""
    user = site.behind.server.directory.people[0]
    others = [str(person.email) for person in site.behind.server.directory.people[1:]]
    rows = [{"source": str(user.email), "target": others[number % len(others)]} for number in range(count)]
    return user, rows


async def settled(site: Site, browser: httpx.AsyncClient) -> int:
    """The number of requests that the reference server has got, once none is under way and none follows."""
    before = -1
    for _ in range(200):
        stats = (await browser.get("/health")).json()
        if stats["under_way"] == 0 and site.behind.requests == before:
            return before
        before = site.behind.requests
        await asyncio.sleep(0.5)
    raise AssertionError("requests do not end")


def ends_of_runs(site: Site) -> int:
    return site.log.read_text("utf-8").count(" ended: ")


@all_recipes
def test_a_posted_list_comes_back_as_json_lines(site: Site) -> None:
    user, rows = rows_of(site, 600)
    rows[10] = {"source": "nobody", "target": "at all"}
    rows[20] = {"source": str(user.email)}

    async def ask() -> list[dict[str, Any]]:
        async with site.browser(site.login(user)) as browser:
            response = await browser.post("/check", json=rows)
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("application/x-ndjson")
            return [json.loads(line) for line in response.text.splitlines()]

    *lines, end = asyncio.run(ask())
    assert end == {"outcome": "end", "read": 600, "stopped": None}
    assert sorted(line["index"] for line in lines) == list(range(600))
    assert Counter(line["outcome"] for line in lines) == {"checked": 598, "failed": 2}
    directory = {str(person.email): person for person in site.behind.server.directory.people}
    for line in lines:
        if line["outcome"] == "checked":
            known = site.behind.server.status(user, directory[rows[line["index"]]["target"]])
            assert line["status"] == str(known or "none")


@all_recipes
def test_a_browser_that_does_not_read_stops_the_checks_and_gets_all_lines_later(site: Site) -> None:
    user, rows = rows_of(site, 1_500)

    async def ask() -> tuple[int, int]:
        async with (
            site.browser() as other,
            site.browser(site.login(user)) as browser,
            browser.stream("POST", "/check", json=rows) as response,
        ):
            lines = response.aiter_lines()
            await anext(lines)
            meanwhile = await settled(site, other)
            return meanwhile, 1 + len([line async for line in lines])

    meanwhile, lines = asyncio.run(ask())
    assert meanwhile < 1_000
    assert lines == 1_501


@all_recipes
@pytest.mark.parametrize("reading", [True, False], ids=["while reading", "without reading"])
def test_the_run_ends_when_the_browser_goes_away(site: Site, *, reading: bool) -> None:
    user, rows = rows_of(site, 20_000)

    async def ask() -> int:
        async with site.browser() as other:
            async with (
                site.browser(site.login(user)) as browser,
                browser.stream("POST", "/check", json=rows) as response,
            ):
                lines = response.aiter_lines()
                for _ in range(100 if reading else 1):
                    await anext(lines)
                if not reading:
                    await settled(site, other)
            for _ in range(100):
                if ends_of_runs(site):
                    break
                await asyncio.sleep(0.2)
            assert ends_of_runs(site) == 1, site.log.read_text()
            return await settled(site, other)

    assert asyncio.run(ask()) < 10_000
