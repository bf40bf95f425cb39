"""The guides work, word for word, against the reference server, and refer to what exists."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest
from readme_blocks import Block, blocks_of, commands_of, run_story, typed
from terminals import free_port, terminals

import aioconnections

ROOT = Path(__file__).parent.parent
FOLDER = files("aioconnections") / "guides"
TEXTS = {item.name: item.read_text("utf-8") for item in FOLDER.iterdir() if item.name.endswith(".md")}
GUIDES = sorted(TEXTS.keys() - {"index.md"})
PORTS = ("8080", "6379", "8786", "8787")  # of the server, of Redis, of a Dask scheduler and its dashboard
PUBLIC = {
    module: set(import_module(module).__all__)
    for module in (
        "aioconnections",
        "aioconnections.atom",
        "aioconnections.cluster",
        "aioconnections.journal",
        "aioconnections.reference",
    )
}


def shown(language: str) -> list[object]:
    """The blocks of all guides in a language, without those that are files or are for another terminal."""
    return [
        pytest.param(block, id=f"{name}:{block.line}")
        for name in GUIDES
        for block in blocks_of(TEXTS[name])
        if block.language == language and not block.options
    ]


def terminal_blocks(text: str) -> dict[str, str]:
    return {block.options["terminal"]: block.text for block in blocks_of(text) if "terminal" in block.options}


def prose_of(text: str) -> str:
    """The text without its blocks."""
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def story(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[tuple[str, Path, dict[str, str]]]:
    """A guide, the folder of its reader, and the ports to put in the place of those in the text."""
    text = TEXTS[request.param]
    ports = {port: free_port() for port in PORTS}
    needed = {**terminal_blocks(TEXTS["getting-started.md"]), **terminal_blocks(text)} if "8080" in text else {}
    blocks = [re.sub("|".join(ports), lambda found: ports[found[0]], block) for block in needed.values()]
    monkeypatch.chdir(tmp_path)
    for name in ("AIOCONNECTIONS_USER", "AIOCONNECTIONS_PASSWORD", "AIOCONNECTIONS_URL", "AIOCONNECTIONS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    with terminals(blocks, ports.values(), tmp_path):
        yield request.param, tmp_path, ports


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("story", GUIDES, indirect=True)
def test_every_block_of_a_guide_runs_in_order(story: tuple[str, Path, dict[str, str]]) -> None:
    name, folder, ports = story
    run_story(TEXTS[name], name, folder, placeholders=ports, environment={})


def test_guides_can_follow_each_other_in_one_terminal_and_folder() -> None:
    """A setting that stays exported, or a journal that another guide has begun, would break a later guide."""
    begun_by: dict[str, str] = {}
    for name in GUIDES:
        commands = [
            command
            for block in blocks_of(TEXTS[name])
            if block.language == "console" and "terminal" not in block.options
            for command in commands_of(block.text)
        ]
        exported = {word for line in commands if line.startswith("export ") for word in re.findall(r"(\w+)=", line)}
        exported -= {word for line in commands if line.startswith("unset ") for word in line.split()[1:]}
        assert exported <= {"AIOCONNECTIONS_URL", "AIOCONNECTIONS_USER", "AIOCONNECTIONS_PASSWORD"}, name
        for block in blocks_of(TEXTS[name]):
            for journal in re.findall(r"[\w$-]+\.sqlite\b", block.text):
                assert begun_by.setdefault(journal, name) == name, (journal, name)


@pytest.mark.parametrize("block", shown("python"))
def test_python_block_at_the_prompt(block: Block) -> None:
    assert "".join(typed(block.text)) == block.text


def test_blocks_that_no_test_runs_only_install_what_exists() -> None:
    blocks = [
        block for name in GUIDES for block in blocks_of(TEXTS[name]) if (block.language, block.options) == ("sh", {})
    ]
    assert len(blocks) == 1
    extras = {extra for block in blocks for extra in re.findall(r"aioconnections\[(.*?)\]", block.text)}
    assert extras == {"cli,server"}


def test_each_guide_says_what_it_is_for_and_is_listed_once() -> None:
    listed = re.findall(r"^- \[(.*?)\]\((.*?)\): .+$", TEXTS["index.md"], re.MULTILINE)
    assert sorted(name for _, name in listed) == GUIDES
    for title, name in listed:
        first, blank, summary, blank_too, *_ = TEXTS[name].splitlines()
        assert (first, blank, blank_too) == (f"# {title}", "", "")
        assert summary.endswith((".", "?"))
        assert blocks_of(TEXTS[name])


@pytest.mark.source
def test_the_site_has_each_guide() -> None:
    lines = (ROOT / "docs" / "index.md").read_text("utf-8").splitlines()
    listed = re.findall(r"\]\((.*?)\.md\):", TEXTS["index.md"])
    assert [line for line in lines if line.startswith("guides/")] == [f"guides/{name}" for name in ["index", *listed]]


def test_a_file_is_named_in_the_text_before_it() -> None:
    for name in GUIDES:
        lines = TEXTS[name].splitlines()
        for block in blocks_of(TEXTS[name]):
            if file := block.options.get("file") or block.options.get("recipe"):
                assert f"`{file}`" in "\n".join(lines[: block.line - 1]), (name, file)


def anchors_of(text: str) -> set[str]:
    """The anchors of the headings, as GitHub and the site make them."""
    titles = re.findall(r"^#+ (.*)$", prose_of(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links_of(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose_of(text))


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_links_lead_somewhere(name: str) -> None:
    for link in links_of(TEXTS[name]):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        if target.startswith("../../benchmarks/"):
            continue  # in the source tree; see below
        assert target in TEXTS, link
        assert not anchor or anchor in anchors_of(TEXTS[target]), link


@pytest.mark.source
def test_pictures_and_links_of_the_front_page_lead_somewhere() -> None:
    for name, text in TEXTS.items():
        for link in links_of(text):
            if link.startswith("../../"):
                assert (ROOT / link.removeprefix("../../")).is_file(), (name, link)
    for link in links_of((ROOT / "README.md").read_text("utf-8")):
        if not link.startswith(("https://", "#")):
            assert (ROOT / link).is_file(), link


def unknown_names(text: str) -> list[str]:
    """Code in the prose that looks like a public name and is none."""
    found = re.findall(r"`([A-Z]\w*[a-z]\w*)((?:\.\w+)*)(?:\(.*?\))?`", prose_of(text))
    unknown: list[str] = []
    for name, attributes in found:
        owners = [import_module(module) for module, names in PUBLIC.items() if name in names]
        if not owners:
            unknown.append(name + attributes)
            continue
        value = getattr(owners[0], name)
        for attribute in filter(None, attributes.split(".")):
            fields = {field.name for field in getattr(value, "__attrs_attrs__", ())}
            if attribute not in fields and not hasattr(value, attribute):
                unknown.append(name + attributes)
            value = getattr(value, attribute, None)
    return unknown


NOT_OURS = {
    "Authorization",
    "AsyncClient",
    "DeprecationWarning",
    "Location",
    "LtpaToken",
    "LtpaToken2",
    "None",
    "RuntimeError",
    "SSLContext",
    "ValueError",
}
"""Words in code that begin with a capital letter and are not names of the library."""


@pytest.mark.parametrize("name", GUIDES)
def test_names_in_the_prose_are_public(name: str) -> None:
    assert sorted(set(unknown_names(TEXTS[name])) - NOT_OURS) == []


def test_names_that_do_not_exist_are_found() -> None:
    assert unknown_names("`Klient`, `Client.chek`, `Client.check(a)`, `Checked.via`, `Status.ACCEPTED`") == [
        "Klient",
        "Client.chek",
    ]


@pytest.mark.source
def test_the_recipes_are_shown_word_for_word() -> None:
    shown = {it.options["recipe"]: it.text for it in blocks_of(TEXTS["web-backends.md"]) if "recipe" in it.options}
    folder = ROOT / "tests" / "recipes"
    recipes = [path for path in folder.rglob("*.py") if not path.name.startswith(("test_", "conftest", "__init__"))]
    recipes += folder.glob("*.ipynb")
    assert set(shown) == {path.relative_to(folder).as_posix() for path in recipes}
    for path in recipes:
        text = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
            text = "\n\n".join("".join(cell["source"]) for cell in cells) + "\n"
        assert shown[path.relative_to(folder).as_posix()] == text, path.name


@pytest.mark.parametrize(
    "text", ["```text\nx\n```\n", "```\nx\n```\n", "```python title=x\n1\n```\n", "```sh file=x more=y\n1\n```\n"]
)
def test_a_block_of_an_unknown_kind_fails(text: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"x\.md, line 2: unknown kind of block"):
        run_story(text, "x.md", tmp_path, placeholders={}, environment={})


STORY = """
```console
$ export WORD=hello
```

```sh file=say.sh
echo "$WORD, $1"
```

```console
$ sh say.sh everyone
hello, ...
$ unset WORD
```

```python
from pathlib import Path

assert Path("say.sh").exists()
```

```console
$ sh say.sh you
{shown}
```
"""


def test_a_story_goes_from_block_to_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_story(STORY.format(shown=", you"), "x.md", tmp_path, placeholders={}, environment={})
    with pytest.raises(AssertionError, match=r"x\.md, line 23: \$ sh say\.sh you\n, you\n"):
        run_story(STORY.format(shown="hello, you"), "x.md", tmp_path, placeholders={}, environment={})


def test_every_public_error_has_its_remedy() -> None:
    named = set(re.findall(r"`(\w+Error)`", TEXTS["errors.md"]))
    assert set(aioconnections.errors.__all__) - named - {"http_headers", "http_status"} == set()


@pytest.mark.source
def test_messages_of_wrong_turns_are_those_of_the_package() -> None:
    rows = re.findall(r'^\| "(.+?)"(, of `serve`)? \|', TEXTS["errors.md"], re.MULTILINE)
    assert len(rows) > 5
    source = "".join(path.read_text("utf-8") for path in (ROOT / "aioconnections").rglob("*.py"))
    for message, of_the_system in rows:
        for part in re.split("[:…]", message):
            assert of_the_system or part.strip() in source, message
