"""The report in a browser: at the width of a phone and of a screen, light and dark. Run by `nox -s full`."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from report_facts import HOSTILE, facts, failures
from report_scenes import long_run, short_run

from aioconnections.report import document

pytestmark = [pytest.mark.full, pytest.mark.timeout(1_800)]

RUNS = ("long", "short", "hostile")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reports of all runs."""
    path = tmp_path_factory.mktemp("reports")
    long_run(path / "long.html")
    short_run(path / "short.html")
    (path / "hostile.html").write_text(document(facts(failures=failures(*HOSTILE))), "utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Generator[Any]:
    program = shutil.which("chromium")
    assert program is not None, "install Debian's chromium"
    with import_module("playwright.sync_api").sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("width", [390, 1_280])
@pytest.mark.parametrize("run", RUNS)
def test_it_is_readable_and_loads_nothing(folder: Path, browser: Any, run: str, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    address = (folder / f"{run}.html").as_uri()
    page.goto(address)
    page.screenshot(path=str(folder / f"{run}-{width}-{scheme}.png"))
    axe = import_module("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    assert [f"{it['id']}: {it['nodes'][0]['html']}" for it in found] == []
    assert (said, asked) == ([], [address])
    beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert beyond == 0, "tables scroll by themselves"
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    context.close()


def test_failures_can_be_filtered(folder: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto((folder / "long.html").as_uri())
    rows = page.locator("#failures tbody tr")
    assert rows.count() == 1_000
    assert page.locator("#shown").text_content() == "1,000 of 1,000 shown"
    page.locator("#kind").select_option(index=1)
    one_kind = rows.filter(visible=True).count()
    assert 0 < one_kind < 1_000
    name = str(rows.filter(visible=True).first.locator("td").nth(1).text_content())
    page.locator("#words").fill(name.upper())
    assert 1 <= rows.filter(visible=True).count() < one_kind
    page.locator("#words").fill("no such words")
    assert rows.filter(visible=True).count() == 0
    assert page.locator("#shown").text_content() == "0 of 1,000 shown"
    page.close()


def test_it_is_read_without_a_script(folder: Path, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "long.html").as_uri())
    assert page.locator("#failures tbody tr").count() == 1_000
    assert not page.locator("#filter").is_visible()
    context.close()


def test_it_is_small(folder: Path) -> None:
    sizes = {run: (folder / f"{run}.html").stat().st_size for run in RUNS}
    assert max(sizes.values()) < 500_000
    assert sizes["short"] < 20_000
