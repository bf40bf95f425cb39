"""How help and usage errors are printed. Each paragraph of a docstring is filled to the width of the terminal.

Cyclopts fills paragraphs of Markdown only, and importing its Markdown renderer takes a third of the time of
``aioconnections --help``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import evolve

from aioconnections.cli.terminal import escaped

if TYPE_CHECKING:
    from cyclopts import CycloptsError
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions
    from rich.panel import Panel

__all__ = ["HelpFormatter", "error_panel"]

_LINE_END = re.compile(r"(?<!\n)\n *(?!\n)")
_UNINDENTED = re.compile(r"(?<!\n)\n(?! |\n)")  # indented lines, such as examples, are not filled


def error_panel(error: CycloptsError) -> Panel:
    """A usage error, whose text may quote an argument."""
    from cyclopts import CycloptsPanel  # not needed for help

    return CycloptsPanel("\n".join(map(escaped, str(error).split("\n"))))


class HelpFormatter:
    """A help formatter of Cyclopts for plain text."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print a panel of options or commands."""
        from cyclopts.help import DefaultFormatter  # not needed unless help is printed

        entries = [evolve(entry, description=_filled(entry.description)) for entry in panel.entries]
        DefaultFormatter()(console, options, panel.copy(entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        """Print the usage line."""
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: object) -> None:
        """Print the description of the program or of a command, or what follows the panels."""
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_description(console, options, _filled(description, _UNINDENTED))


def _filled(text: object, line_end: re.Pattern[str] = _LINE_END) -> object:
    """The same text without the line ends within a paragraph."""
    from cyclopts.help import InlineText
    from rich.text import Text

    if isinstance(text, InlineText) and isinstance(text.primary_renderable, Text):
        text.primary_renderable = Text(line_end.sub(" ", text.primary_renderable.plain))
    return text
