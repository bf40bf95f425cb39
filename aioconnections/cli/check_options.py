"""The options of ``aioconnections check`` for pairs of people from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from attrs import frozen
from cyclopts import Parameter

from aioconnections.cli.options import FileOption, PairRows, PersonRows
from aioconnections.errors import InvalidInputError

__all__ = ["PEOPLE_FILES", "PeopleFiles"]


@Parameter(name="*", group="People")
@frozen(kw_only=True)
class PeopleFiles:
    """Files of people whose pairs are checked."""

    group: FileOption = None
    """File with people, instead of a file of pairs: each pair of them is checked once, with the earlier person as the
    source. "-" stands for standard input."""
    both_ways: Annotated[bool, Parameter(negative="")] = False
    """With --group, check each pair in both directions."""
    against: FileOption = None
    """File with people: each person in the first file, as the source, is checked with each person in this one, as the
    target, but not with themself."""
    person_column: str | None = None
    """Name of the column with the person in the files of people; needs --id-type. By default, --id-type tells what is
    in the column "person"."""

    def rows(self, pairs: Path | None, rows: PairRows) -> PersonRows | None:
        """How people are read and their pairs are written; None if the input is a file of pairs.

        Args:
            pairs: the first file of the command.
            rows: the options for a file of pairs.

        Raises:
            InvalidInputError: options conflict.
        """
        if self.group is not None and self.against is not None:
            raise InvalidInputError("--group and --against cannot be used together; use one of them")
        if self.group is not None and pairs is not None:
            raise InvalidInputError("a file and --group cannot be used together; use one of them")
        if self.both_ways and self.group is None:
            raise InvalidInputError("--both-ways needs --group")
        if self.group is None and self.against is None:
            if self.person_column is not None:
                raise InvalidInputError("--person-column needs --group or --against")
            return None
        option = "--group" if self.against is None else "--against"
        if self.against is not None and _is_piped(self.against) and (pairs is None or _is_piped(pairs)):
            raise InvalidInputError("only one of the two files can be standard input; name the other one")
        if rows.retry is not None:
            raise InvalidInputError(
                f"{option} and --retry cannot be used together; --retry alone reads the result of {option}"
            )
        for name, column in (("--source-column", rows.source_column), ("--target-column", rows.target_column)):
            if column is not None:
                raise InvalidInputError(f"{name} is for a file of pairs; with {option}, use --person-column")
        return PersonRows(
            format=rows.format,
            json=rows.json,
            output=rows.output,
            excel_safe=rows.excel_safe,
            encoding=rows.encoding,
            ordered=rows.ordered,
            id_type=rows.id_type,
            person_column=self.person_column,
        )


def _is_piped(path: Path) -> bool:
    return str(path) == "-"


PEOPLE_FILES = PeopleFiles()
