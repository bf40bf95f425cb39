"""The options that commands share, apart from those of a run: input and result.

Annotations are not postponed, for the reason given in `run_options`.
"""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, TypeAlias

from attrs import AttrsInstance, asdict, frozen
from cyclopts import Parameter

from aioconnections.columns import IdType, Untyped
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import Format, format_of_name, is_encoding, is_parquet_name

__all__ = [
    "PAIR_ROWS",
    "PERSON_ROWS",
    "PLAIN",
    "ROWS",
    "File",
    "FileOption",
    "IdType",
    "PairRows",
    "PersonRows",
    "Result",
    "Rows",
    "option_given",
]


def _refuse_option(problem: str) -> Callable[[object, Path | None], None]:
    """Refuse an option, which would otherwise be read as a file name, because "-" is allowed."""

    def refuse(kind: object, path: Path | None) -> None:
        del kind
        if str(path).startswith("-") and str(path) != "-":
            raise ValueError(f"{problem}. For a file of that name, use ./{path}")

    return refuse


def _refuse_other_format(kind: object, path: Path | None) -> None:
    del kind
    if path is None or is_parquet_name(path):
        return
    what = format_of_name(path)
    if what is not None:
        advice = "Write CSV with --excel-safe, and open that."
        raise ValueError(f"The result is CSV, JSON lines or Parquet, but {path} is named like {what}. {advice}")


def _refuse_unknown_encoding(kind: object, name: str | None) -> None:
    del kind
    if name is not None and not is_encoding(name):
        raise ValueError(f"There is no encoding {name!r}. Examples are cp1252, latin-1 and utf-16.")


File: TypeAlias = Annotated[
    Path | None, Parameter(allow_leading_hyphen=True, validator=_refuse_option("Unknown option"))
]
FileOption: TypeAlias = Annotated[
    Path | None, Parameter(allow_leading_hyphen=True, validator=_refuse_option("The name of the file is missing"))
]


@Parameter(name="*")
@frozen(kw_only=True)
class Result:
    """Format and file of the result."""

    format: Format | None = None
    """Format of the result. By default Parquet if the name of the output ends in .parquet, else the format of the
    input, or CSV without an input and for one in Parquet."""
    json: Annotated[bool, Parameter(negative="")] = False
    """The same as --format jsonl."""
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], validator=_refuse_other_format)] = None
    """File for the result. By default standard output."""
    excel_safe: Annotated[bool, Parameter(negative="")] = False
    """Put ' in front of cells that begin with =, +, -, @, a tab or a line end, which Excel may evaluate. Reading
    removes it again."""

    @property
    def form(self) -> Format | None:
        """The format that --format or --json selects.

        Raises:
            InvalidInputError: options conflict.
        """
        if self.json and self.format not in {None, "jsonl"}:
            raise InvalidInputError(f"--json and --format {self.format} cannot be used together; use one of them")
        form = self.named("jsonl" if self.json else self.format)
        self.check_form(form)
        return form

    def named(self, form: Format | None) -> Format | None:
        """The format that an option or the name of the output selects.

        Raises:
            InvalidInputError: they conflict.
        """
        if self.output is None or not is_parquet_name(self.output):
            return form
        if form not in {None, "parquet"}:
            raise InvalidInputError(f"{self.output} is named like Parquet, and the format is {form}; change one")
        return "parquet"

    def check_form(self, form: Format | None) -> None:
        """Refuse options that have no meaning for this format of the result.

        Raises:
            InvalidInputError: see above.
        """
        if self.excel_safe and form in {"jsonl", "parquet"}:
            has = "JSON lines have" if form == "jsonl" else "Parquet has"
            raise InvalidInputError(f"--excel-safe is for CSV; {has} no cells that Excel evaluates")


@Parameter(name="*")
@frozen(kw_only=True)
class Rows(Result):
    """How rows are read and written."""

    encoding: Annotated[str | None, Parameter(validator=_refuse_unknown_encoding)] = None
    """Encoding of an input without a byte order mark, such as cp1252; by default UTF-8. The result is then UTF-8 with a
    byte order mark."""
    retry: Path | None = None
    """Result of an earlier run, instead of an input: its rows that were not done are processed again, and its other
    rows are left out. With the same file as --output, the other rows are kept. An invitation in doubt is not sent
    again."""
    ordered: Annotated[bool, Parameter(negative="")] = False
    """Keep the order of the input. By default rows are written in the order of completion."""

    @property
    def untyped(self) -> Untyped | None:
        """The columns whose names do not tell the kind of identity; None if there are none.

        Raises:
            InvalidInputError: options conflict.
        """
        return None


@Parameter(name="*")
@frozen(kw_only=True)
class PairRows(Rows):
    """How rows with pairs are read and written."""

    id_type: IdType | None = None
    """Kind of identity in the columns "source" and "target", or in those of --source-column and --target-column."""
    source_column: str | None = None
    """Name of the column with the source; needs --id-type."""
    target_column: str | None = None
    """Name of the column with the target; needs --id-type."""

    @property
    def untyped(self) -> Untyped | None:
        """See `Rows`."""
        return _untyped(self.id_type, source=self.source_column, target=self.target_column)


@Parameter(name="*")
@frozen(kw_only=True)
class PersonRows(Rows):
    """How rows with one person each are read and written."""

    id_type: IdType | None = None
    """Kind of identity in the column "person", or in that of --person-column."""
    person_column: str | None = None
    """Name of the column with the person; needs --id-type."""

    @property
    def untyped(self) -> Untyped | None:
        """See `Rows`."""
        return _untyped(self.id_type, person=self.person_column)


def _untyped(kind: IdType | None, **columns: str | None) -> Untyped | None:
    chosen = {role: name.strip() for role, name in columns.items() if name is not None}
    for role, name in chosen.items():
        if kind is None:
            raise InvalidInputError(f"--{role}-column needs --id-type, which tells what is in the column")
        if not name:
            raise InvalidInputError(f"--{role}-column is empty; give the name of a column")
    if len({*chosen.values()}) < len(chosen):
        raise InvalidInputError("--source-column and --target-column name the same column; name two columns")
    return None if kind is None else Untyped(kind, chosen)


def option_given(options: AttrsInstance, *, but: Collection[str] = ()) -> str | None:
    """The first of some options that does not have its default value, as it is typed; None if all have.

    Args:
        options: the options, whose values all have defaults.
        but: names of options to leave out.
    """
    defaults = asdict(type(options)())
    names = [name for name, value in asdict(options).items() if name not in but and value != defaults[name]]
    return f"--{names[0].replace('_', '-')}" if names else None


ROWS = Rows()
PAIR_ROWS = PairRows()
PERSON_ROWS = PersonRows()
PLAIN = Result()
