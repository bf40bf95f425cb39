"""The options that commands share, apart from those of a run: input and result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from attrs import frozen
from cyclopts import Parameter

from aioconnections.errors import InvalidInputError

if TYPE_CHECKING:
    pass

__all__ = [
    "PLAIN",
    "ROWS",
    "File",
    "Format",
    "IdType",
    "Result",
    "Rows",
]

Format: TypeAlias = Literal["csv", "jsonl"]
IdType: TypeAlias = Literal["email", "userid", "key"]


def _refuse_unknown_option(kind: object, path: Path | None) -> None:
    """Refuse an unknown option, which would otherwise be read as a file name, because "-" is allowed."""
    del kind
    if str(path).startswith("-") and str(path) != "-":
        raise ValueError(f"Unknown option. For a file of that name, use ./{path}")


File: TypeAlias = Annotated[Path | None, Parameter(allow_leading_hyphen=True, validator=_refuse_unknown_option)]


@Parameter(name="*")
@frozen(kw_only=True)
class Result:
    """Format and file of the result."""

    format: Format | None = None
    """Format of the result. By default the format of the input, or CSV without an input."""
    json: Annotated[bool, Parameter(negative="")] = False
    """The same as --format jsonl."""
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    """File for the result. By default standard output."""

    @property
    def form(self) -> Format | None:
        """The format that --format or --json selects.

        Raises:
            InvalidInputError: the two conflict.
        """
        if self.json and self.format == "csv":
            raise InvalidInputError("--json and --format csv cannot be used together; use one of them")
        return "jsonl" if self.json else self.format


@Parameter(name="*")
@frozen(kw_only=True)
class Rows(Result):
    """How rows are read and written."""

    id_type: IdType | None = None
    """Kind of identity in the columns "source", "target" and "person"."""
    ordered: Annotated[bool, Parameter(negative="")] = False
    """Keep the order of the input. By default rows are written in the order of completion."""


ROWS = Rows()
PLAIN = Result()
