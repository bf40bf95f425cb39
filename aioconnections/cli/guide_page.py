"""A guide as it is shown in a terminal: code that can be copied, and tables that fit.

Only `aioconnections guide` imports this module, because it imports rich.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from typing import ClassVar

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown, MarkdownElement, TableElement
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

__all__ = ["formatted"]

_WIDEST = 120  # columns: longer lines are hard to read
_NARROWEST = 16  # columns of a table in which text is still easy to read
_GAP = 2  # columns between two columns of a table


def formatted(markdown: str) -> str:
    """The text for a terminal of the present width, with its control sequences."""
    console = Console(file=StringIO(), force_terminal=True)
    console.width = min(console.width, _WIDEST)
    with console.capture() as captured:
        console.print(_Page(markdown, hyperlinks=False), crop=False)
    return captured.get()


class _Code(CodeBlock):
    """Code without a margin and with whole lines: the terminal wraps them, so a copied line is the line."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        text = Syntax(code, self.lexer_name, theme=self.theme).highlight(code)
        for line in text.split():
            line.no_wrap, line.overflow = True, "ignore"
            line.pad_right(max(0, options.max_width - cell_len(line.plain)))
            yield line


class _Table(TableElement):
    """A table, or, where its words do not fit, each row as a list of its cells with the names of their columns."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        header = [cell.content for cell in self.header.row.cells] if self.header and self.header.row else []
        rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body else []
        widths = [_least_width(column) for column in zip(header, *rows, strict=True)]
        if sum(widths) + _GAP * len(widths) <= options.max_width:
            for table in super().__rich_console__(console, options):
                if isinstance(table, Table):
                    for column, width in zip(table.columns, widths, strict=True):
                        column.min_width = width  # otherwise rich cuts words off to divide the width evenly
                yield table
            return
        for first, *others in rows:
            title = first.copy()
            title.stylize("bold")
            yield title
            for name, cell in zip(header[1:], others, strict=True):
                if cell.plain:
                    yield Padding(Text.assemble((f"{name.plain}: ", "markdown.table.header"), cell), (0, 0, 0, _GAP))


def _least_width(cells: Iterable[Text]) -> int:
    """The columns that the longest word of some cells takes, or those of easy text if a cell has several words."""
    texts = [cell.plain for cell in cells]
    longest = max((cell_len(word) for text in texts for word in text.split()), default=0)
    return max(longest, min(_NARROWEST, max(map(cell_len, texts), default=0)))


class _Page(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "code_block": _Code,
        "fence": _Code,
        "table_open": _Table,
    }
