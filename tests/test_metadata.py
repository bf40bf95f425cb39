"""What the built wheel says of the package: how a package index shows it, and what pip installs."""

from __future__ import annotations

import json
import re
from email.message import Message
from importlib.metadata import Distribution
from itertools import pairwise

import pytest
from packaging.requirements import Requirement


@pytest.fixture(scope="module")
def distribution() -> Distribution:
    found = Distribution.from_name("aioconnections")
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        pytest.skip("the metadata of an editable installation is as old as the installation")
    return found


@pytest.fixture
def metadata(distribution: Distribution) -> Message:
    parsed = distribution.metadata
    assert isinstance(parsed, Message)
    return parsed


@pytest.fixture
def description(metadata: Message) -> str:
    text = metadata.get_payload()
    assert isinstance(text, str)
    return text


def targets(markdown: str) -> list[str]:
    """Where the links and images of a text lead, inline, by reference or in HTML; code is left out."""
    prose = re.sub(r"^```.*?^```|`[^`\n]+`", "", markdown, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)|^\[[^\]]+\]: *(\S+)|(?:src|href)=[\"']([^\"']+)", prose, flags=re.MULTILINE)
    return ["".join(each) for each in found]


def test_targets_of_links() -> None:
    text = '[a](b.md) ![c](d.svg "e")\n[f]: g.md\n<img src="h.png">\n`[i](j)`\n```\n[k](l)\n```\n[m](https://n)\n'
    assert targets(text) == ["b.md", "d.svg", "g.md", "h.png", "https://n"]


def test_no_link_or_image_on_the_page_of_a_package_index_needs_the_repository(description: str) -> None:
    relative = [target for target in targets(description) if not target.startswith(("https://", "#"))]
    assert relative == []
    assert "chart, `benchmarks/check.svg`." in description  # said in words
    assert "aioconnections guide getting-started" in description


def test_the_description_is_for_those_who_have_only_the_package(metadata: Message, description: str) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "pip install 'aioconnections[cli,server]'" in description
    assert "'.[cli,server]'" not in description
    assert "clone" not in description
    titles = re.findall(
        r"^# (.*)$", re.sub(r"^```.*?^```", "", description, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    assert titles == ["aioconnections", "Changes"]
    changes = description.partition("\n# Changes\n")[2].lstrip()
    assert changes.startswith(f"## [{metadata['Version']}]")
    assert "### Added" in changes


def test_licence_and_authors(distribution: Distribution, metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert "Apache License" in (distribution.read_text("licenses/LICENSE") or "")
    assert metadata.get("Author") or metadata.get("Author-email")
    assert not [name for name in metadata.get_all("Classifier", []) if name.startswith("License ::")]


def test_no_address_is_a_placeholder(metadata: Message) -> None:
    urls = metadata.get_all("Project-URL", [])
    people = [metadata.get(name, "") for name in ("Author-email", "Maintainer-email", "Home-page", "Download-URL")]
    assert not [text for text in [*urls, *people] if re.search(r"example|your|todo|localhost", text, re.IGNORECASE)]
    assert not [text for text in urls if not re.fullmatch(r"[\w ]{1,32}, https://\S+", text)]


def test_keywords_and_classifiers(metadata: Message) -> None:
    assert {"ibm connections", "hcl connections", "asyncio", "trio"} <= set(metadata["Keywords"].split(","))
    classifiers = metadata.get_all("Classifier", [])
    assert classifiers == sorted(set(classifiers), key=lambda name: name.split(" :: "))
    assert {"Framework :: AsyncIO", "Framework :: Trio", "Typing :: Typed"} <= set(classifiers)
    named = [name.rpartition(" :: ")[2] for name in classifiers if re.search(r"Python :: 3\.\d+$", name)]
    assert metadata["Requires-Python"] == f">={named[0]}"
    minors = [int(version.partition(".")[2]) for version in named]
    assert all(after == before + 1 for before, after in pairwise(minors))


def test_a_plain_installation_brings_no_extra_and_each_requirement_has_a_lower_bound(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "cli",
        "dask",
        "data",
        "httpx2",
        "keyring",
        "otel",
        "redis",
        "server",
        "test",
    }
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    plain = {it.name for it in requirements if it.marker is None}
    assert plain == {"anyio", "attrs", "defusedxml", "httptools", "httpx", "truststore"}
    assert not [it for it in requirements if not any(bound.operator == ">=" for bound in it.specifier)]


def test_the_wheel_holds_the_typed_package_and_its_command_alone(distribution: Distribution) -> None:
    assert [(it.name, it.value) for it in distribution.entry_points] == [
        ("aioconnections", "aioconnections.__main__:main")
    ]
    installed = [path.as_posix() for path in distribution.files or ()]
    assert "aioconnections/py.typed" in installed
    assert "aioconnections/guides/getting-started.md" in installed
    folders = {path.split("/")[0] for path in installed if not path.startswith("..")}
    assert folders == {"aioconnections", f"aioconnections-{distribution.version}.dist-info"}
