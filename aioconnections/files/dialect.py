"""The form of a table as text: encoding, byte order mark, delimiter and line ends, and cells that Excel would evaluate.

A result has the form of its input, so that a program that opens the one opens the other.
"""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path
from typing import Literal, TypeAlias

from attrs import frozen

__all__ = [
    "BOM",
    "ESCAPED",
    "CsvDialect",
    "Format",
    "excel_safe_cell",
    "format_of_name",
    "in_words",
    "is_encoding",
    "is_parquet_name",
    "output_encoding",
    "unescaped",
]

Format: TypeAlias = Literal["csv", "jsonl", "parquet"]

BOM = "\ufeff"
ESCAPED = "'"
"""The character that `excel_safe_cell` puts in front of a cell. Excel shows such a cell as text."""

_WORKBOOKS = {".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"}
_UTF16 = "utf-16-le"  # as Excel writes it
# More than one quote is matched so that a cell that begins with quotes of its own is restored.
_EVALUATED = re.compile(r"'*[=+\-@\t\r\n]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r\n]")


@frozen
class CsvDialect:
    """The form of a CSV file, apart from its encoding.

    Attributes:
        delimiter: the delimiter.
        line_end: the line end.
        declaration: a first line such as ``sep=;``, with its line end; empty if there is none.
        excel_safe: whether cells are escaped that Excel would evaluate.
    """

    delimiter: str = ","
    line_end: str = "\n"
    declaration: str = ""
    excel_safe: bool = False


def output_encoding(source: str) -> tuple[str, bool]:
    """The encoding of the CSV result for an input in the encoding `source`, and whether it begins with a mark.

    UTF-16 stays UTF-16, because Excel splits a UTF-8 file at semicolons or commas, but not at the tabs of its own
    "Unicode text". The result of any other encoding is UTF-8, which can hold the names that a server returns; for
    Excel it begins with a byte order mark.
    """
    name = codecs.lookup(source).name
    if name.startswith("utf-16"):
        return _UTF16, True
    return "utf-8", name not in {"utf-8", "ascii"}


def in_words(encoding: str) -> str:
    """The name of an encoding in a message."""
    name = codecs.lookup(encoding).name
    return name.removesuffix("-sig").upper() if name.startswith("utf") else encoding


def excel_safe_cell(text: str) -> str:
    """The text as a cell that Excel does not evaluate; `unescaped` restores it."""
    return ESCAPED + text if _EVALUATED.match(text) else text


def unescaped(text: str) -> str:
    """The text of a cell that `excel_safe_cell` may have changed."""
    return text[1:] if _ESCAPED.match(text) else text


def is_encoding(name: str) -> bool:
    """Whether files can have an encoding of this name."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name).close()  # raises LookupError for codecs that are not for text
        _ = codecs.getincrementaldecoder(name)(errors="replace").decode(b"a")
    except (LookupError, ValueError):
        return False
    return True


def format_of_name(path: Path) -> str | None:
    """The format that the name of a file tells, in words; None if it may be text."""
    if path.suffix.lower() in _WORKBOOKS:
        return "a workbook of a spreadsheet program"
    return "a Parquet file" if is_parquet_name(path) else None


def is_parquet_name(path: Path) -> bool:
    """Whether a file is named like Parquet."""
    return path.suffix.lower() == ".parquet"
