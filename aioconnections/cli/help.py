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
_FOR_PASSWORD = re.compile(r"-p.*|--?(\w+-)?(pass(wd|word|phrase)?|pwd?|secret|credentials?|auth)", re.IGNORECASE)
_FOR_TOKEN = re.compile(r"--?(\w+-)?(token|bearer|jwt|api-?key)", re.IGNORECASE)


def error_panel(error: CycloptsError) -> Panel:
    """A usage error, whose text may quote an argument, but not the value after an unknown option."""
    from cyclopts import CycloptsPanel, UnusedCliTokensError  # not needed for help

    text, word = str(error), _unknown_option(error)
    if word is not None:
        option = word.partition("=")[0]
        text = _secret_refused(option, error) or text.replace(word, option)
    elif isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        words = ", ".join(f'"{word}"' for word in error.unused_tokens)
        text = f"There is no place for {words}. A name or text with spaces needs quotes around it."
    return CycloptsPanel("\n".join(map(escaped, text.split("\n"))))


def _unknown_option(error: CycloptsError) -> str | None:
    """The argument that is an unknown option, perhaps with a value; None if the error is another one."""
    from cyclopts import UnknownCommandError, UnknownOptionError, ValidationError

    word = ""
    if isinstance(error, UnknownOptionError):
        word = error.token.keyword or error.token.value
    elif isinstance(error, UnknownCommandError) and error.unused_tokens:
        word = error.unused_tokens[0]
    elif isinstance(error, ValidationError) and error.argument is not None:  # perhaps of the options' `File`
        word = next((token.value for token in error.argument.tokens if token.keyword is None), "")
    return word if word.startswith("-") else None


def _secret_refused(option: str, error: CycloptsError) -> str | None:
    """What to do instead of giving a secret as the value of `option`; None if it does not seem to be for one."""
    known: set[str] = set()
    if error.app is not None and error.app.default_command is not None:
        known = {name for argument in error.app.assemble_argument_collection() for name in argument.names}
        if "--password-file" not in known:
            return None
    if f"-{option}" in known:  # such as -profile
        return None
    if _FOR_TOKEN.fullmatch(option):
        what, advice = "token", "--token-file, or set AIOCONNECTIONS_TOKEN"
    elif _FOR_PASSWORD.fullmatch(option):
        what, advice = "password", '--password-file or "aioconnections login", or set AIOCONNECTIONS_PASSWORD'
        if "--password-stdin" in known:  # of login
            advice = "--password-file or --password-stdin"
    else:
        return None
    name = option if option.startswith("--") else option[:2]  # the rest may be the secret
    return f"Unknown option: {name}. Other users can see arguments, so none holds a {what}; use {advice}."


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
