"""``aioconnections guide``: the documentation in the terminal.

The guides are Markdown files in the package, read through `importlib.resources`, so that a zipped package works too. A
terminal gets them formatted, page by page; a file or a pipe gets the Markdown itself.
"""

from __future__ import annotations

import re
from typing import TextIO

from aioconnections.cli.exits import GOOD
from aioconnections.cli.progress import needed
from aioconnections.errors import InvalidInputError

__all__ = ["guide"]

_INDEX = "index"
_LISTED = re.compile(r"^- \[(?P<title>[^\]]*)\]\((?P<name>[\w-]+)\.md\): (?P<summary>.*)$", re.MULTILINE)
_GUIDE_LINK = re.compile(r"\[([^\]]*)\]\(([\w-]+)\.md(?:#[\w-]+)?\)")
_PICTURE = re.compile(r"!\[([^\]]*)\]\((?:\.\./)*([^)]*)\)")
_OPTIONS = re.compile(r"^( *```[\w-]+) [^\n]*$", re.MULTILINE)


def guide(name: str | None = None, /) -> int:
    """Show a guide, or list all guides with one line each.

    A terminal shows the guide page by page. A file or a pipe gets its Markdown, as in "aioconnections guide
    getting-started > getting-started.md".

    Args:
        name: Name of the guide, such as getting-started. Omitted: list the guides.
    """
    stream = needed("output", "the guide is printed there")
    if name is None:
        _print(_listing(), stream)
    elif stream.isatty():
        _page(_formatted(_source(name)), stream)
    else:
        _print(_source(name), stream)
    return GOOD


def _text(name: str) -> str:
    from importlib.resources import files  # not needed for help, as what other functions import

    return (files("aioconnections") / "guides" / f"{name}.md").read_text(encoding="utf-8")


def _guides() -> dict[str, str]:
    """The summary of each guide, in the order in which they are read."""
    return {found["name"]: found["summary"] for found in _LISTED.finditer(_text(_INDEX))}


def _listing() -> str:
    guides = _guides()
    longest = max(map(len, guides))
    lines = [f"{name:{longest}}  {summary}" for name, summary in guides.items()]
    return "\n".join([*lines, "", 'Show one with "aioconnections guide NAME".', ""])


def _source(name: str) -> str:
    """The Markdown of a guide.

    Raises:
        InvalidInputError: there is no such guide; the message names the closest one.
    """
    guides = _guides()
    wanted = re.sub(r"[\s_]+", "-", name.strip().casefold()).removesuffix(".md")
    if wanted in guides or wanted == _INDEX:
        return _text(wanted)
    from difflib import get_close_matches

    close = get_close_matches(wanted, guides, n=1) or [each for each in guides if wanted and wanted in each][:1]
    advice = f'did you mean "{close[0]}"?' if close else 'run "aioconnections guide" for their names'
    raise InvalidInputError(f"there is no guide {name!r}; {advice}")


def _formatted(source: str) -> str:
    """A guide for a terminal, with its control sequences."""
    from aioconnections.cli.guide_page import formatted

    # Links to other guides become commands, because a terminal cannot follow them.
    text = _PICTURE.sub(r"(a picture, `\2` in the source distribution: \1)", source)
    text = _GUIDE_LINK.sub(lambda link: f"{link[1]} (`{_command(link[2])}`)", text)
    return formatted(_OPTIONS.sub(r"\1", text))


def _command(name: str) -> str:
    return "aioconnections guide" if name == _INDEX else f"aioconnections guide {name}"


def _page(text: str, stream: TextIO) -> None:
    """Show text in the user's pager, if standard input is a terminal too."""
    import os
    import pydoc

    os.environ.setdefault("LESS", "FRX")  # colours, and no pager for less than a screen; as git does
    stream.flush()
    pydoc.pager(text)


def _print(text: str, stream: TextIO) -> None:
    stream.write(text)
    stream.flush()
