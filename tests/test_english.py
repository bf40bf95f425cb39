"""Keeps phrases that the house style bans out of the package's texts, the README and the changelog.

The test reads docstrings, comments and string literals. Names, one-word strings and code in backticks are not prose.
"""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

pytestmark = pytest.mark.source

ROOT = Path(__file__).parent.parent

BANNED = (
    # persons in the place of caller, client, server, request, worker or item
    r"(?:any|every|no|some)body",
    r"(?:who|whom|what)(?:so)?ever",
    r"who wants?",
    r"wants",
    r"impatient(?:ly)?",
    # "response" is the term for HTTP, and "outcome" for an item
    r"(?:an|the|its|no|each|every|any|this|whose|lost|same|old|wrong|forged) answers?",
    r"answers (?:that|are|were|from|to|of)",
    # proverbs and pictures
    r"farewell",
    r"(?:has|have|had) enough",
    r"bears?|borne",
    r"for company",
    r"dear(?:er)?",
    r"no news",
    r"on the shortest way",
    r"half a close",
    r"kept us from",
    r"whose \w+ (?:this|these) (?:is|are)",
    # inverted word order and other constructions that are not English
    r"here is \w+ed",
    r"(?:is|are|was|were) (?:not )?waited for",
    r"asked (?:after|anew)",
    r"anew",
    r"(?:it|that) is found out",
    r"(?:what|whatever) (?:became|becomes|stands|came|comes) (?:of|between|out)",
    r"(?:it|they|who) (?:is|are|was) told",
    r"tells? of|told of",
    r"(?:that|what) there (?:is|are|was|were)",
    r"so many",
    r"to be no",
    r"for ever",
    r"said as such",
    # chains of pronouns
    r"of (?:it|them|these|those)[\w ]{1,25} of (?:it|them|these|those)",
)
"""Regular expressions, in which a space matches any white space, including the break between two lines of a comment."""

_BANNED = re.compile(rf"\b(?:{'|'.join(BANNED)})\b".replace(" ", r"\s+"), re.IGNORECASE)
_NOT_PROSE = re.compile(r"`+[^`\n]+`+|\{[^{}\n]*\}|\w+://\S+")
_STRINGS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
_WALL = "\0"  # replaces code, so that no phrase extends across it


def our_texts() -> list[str]:
    """Paths of all checked files, relative to the root of the project."""
    package = [path for path in (ROOT / "aioconnections").rglob("*") if path.suffix in {".py", ".md"}]
    return sorted(path.relative_to(ROOT).as_posix() for path in [*package, ROOT / "README.md", ROOT / "CHANGELOG.md"])


def prose_of(source: str) -> str:
    """Python source in which walls replace everything except comments and strings; the lines stay the same."""
    lines = [list(line) for line in source.splitlines(keepends=True)]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            shown = token.string.replace("#", " ")
        elif token.type in _STRINGS and re.search(r"\s", token.string):
            shown = re.sub(r"^\w*[\"']|[\"']|\\n", lambda found: " " * len(found[0]), token.string)
        else:
            shown = re.sub(r"\S", _WALL, token.string)
        for number, part in enumerate(shown.splitlines(), token.start[0] - 1):
            column = token.start[1] if number == token.start[0] - 1 else 0
            lines[number][column : column + len(part)] = part
    return "".join("".join(line) for line in lines)


def hits(text: str, name: str) -> list[str]:
    """``file:line: phrase`` for each banned phrase in `text`, which is Python or Markdown by the suffix of `name`."""
    prose = prose_of(text) if name.endswith(".py") else text
    prose = _NOT_PROSE.sub(lambda found: _WALL * len(found[0]), prose)
    return [
        f"{name}:{prose.count(chr(10), 0, found.start()) + 1}: {' '.join(found[0].split())}"
        for found in _BANNED.finditer(prose)
    ]


@pytest.mark.parametrize("name", our_texts())
def test_no_banned_phrase(name: str) -> None:
    found = hits((ROOT / name).read_text(encoding="utf-8"), name)
    assert not found, "\n" + "\n".join(found)


SOURCE = '''"""Nobody waits,
and here is
waited for news."""

# it
# is told
somebody = f"{whoever} and another person"
WORDS = {"somebody": somebody, 1: "the server "
         "has enough"}
x = 1  # that `nobody` there
'''


def test_phrases_are_found_with_their_line() -> None:
    assert hits(SOURCE, "x.py") == [
        "x.py:1: Nobody",
        "x.py:2: here is waited",
        "x.py:5: it is told",
        "x.py:9: has enough",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "```sh\n$ whoami\n```\nThe server answers a request, and this one `nobody` sees.\n",
        "Each worker has a connection. See https://example.com/nobody for more.\n",
    ],
)
def test_plain_english_passes(text: str) -> None:
    assert hits(text, "README.md") == []


@pytest.mark.parametrize("text", ["The request is sent\nso  many times.", "all that there\nis", "Whose answers"])
def test_phrases_may_run_over_lines(text: str) -> None:
    assert len(hits(text, "README.md")) == 1
