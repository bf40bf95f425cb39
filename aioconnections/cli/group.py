"""The input of ``check --group`` and ``--against``: the pairs of the people in one file, or in two.

People are held in memory, each once. Pairs are made one by one: 10,000 people have 50 million of them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar, cast

from attrs import frozen

from aioconnections.cli.apart import NamedFile
from aioconnections.cli.options import Rows
from aioconnections.cli.progress import input_file, say
from aioconnections.cli.running import Source
from aioconnections.cli.verbs import BulkVerb
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import excel_safe_cell
from aioconnections.files.rows import (
    PEOPLE,
    BadRowError,
    InputRow,
    Item,
    RepeatedLines,
    RowPair,
    RowPerson,
    Table,
    read_rows,
)
from aioconnections.files.source import opened_any
from aioconnections.records import Identity

__all__ = ["PeopleBlock", "PeopleSource", "PeopleTable"]

ItemT = TypeVar("ItemT", bound=Item)

_KINDS = ("userid", "key", "email")


@frozen
class PeopleSource(Source):
    """The pairs of people in files, as the input of a command.

    Attributes:
        against: file of the targets; None to pair the people in `path` with each other.
        both_ways: whether these are paired in both directions.
    """

    against: Path | None = None
    both_ways: bool = False

    @property
    def files(self) -> Iterator[NamedFile]:
        """See `Source`."""
        yield from super().files
        if self.against is not None:
            yield NamedFile.at(self.against, "the file of --against")

    @property
    def piped(self) -> bool:
        """See `Source`."""
        return super().piped or str(self.against) == "-"

    @property
    def replaced(self) -> str | None:
        """See `Source`."""
        if self.piped:
            return None
        return "the input and --against" if self.against else "--group" + " and --both-ways" * self.both_ways

    @contextmanager
    def table(
        self, verb: BulkVerb[ItemT], options: Rows
    ) -> Generator[tuple[Table[ItemT], io.TextIOWrapper | io.FileIO | None]]:
        """Read the people, and yield their pairs and the first file.

        Raises:
            InvalidInputError: a file cannot be opened, or has the wrong columns or format.
        """
        del verb  # its items are pairs
        with opened_any(input_file(self.path), options.encoding) as file:
            if self.against is None:
                people = _people(file, options)
                table = people.with_each_other(both_ways=self.both_ways)
            else:
                people = _people(file, options, name=_name(self.path))
                if _is_same_file(self.path, self.against):
                    yield cast("Table[ItemT]", people.with_others(people)), file
                    return
                with opened_any(input_file(self.against), options.encoding) as other:
                    table = people.with_others(_people(other, options, name=_name(self.against)))
            yield cast("Table[ItemT]", table), file


def _is_same_file(path: Path | None, other: Path) -> bool:
    """Whether two paths name one regular file, which is read once; a pipe has other contents each time."""
    try:
        return path is not None and path.is_file() and path.samefile(other)
    except OSError:
        return False  # the error is reported when the file is opened


def _name(path: Path | None) -> str:
    return "standard input" if path is None or str(path) == "-" else str(path)


@frozen
class _Member:
    """One person, and the cells that name them as the source and as the target of a pair."""

    identity: Identity
    as_source: InputRow
    as_target: InputRow

    @classmethod
    def of(cls, person: RowPerson) -> _Member:
        """The member in a row. A cell that is escaped for Excel in the row stays so."""
        identity = person.identity
        text, escaped = identity.value, excel_safe_cell(identity.value)
        if escaped != text and escaped in person.row.values():
            text = escaped
        return cls(identity, {f"source_{identity.kind}": text}, {f"target_{identity.kind}": text})


@frozen
class PeopleBlock:
    """The pairs of one person as their source.

    Attributes:
        count: number of the pairs.
    """

    _member: _Member
    _targets: Sequence[_Member]
    _first: int
    count: int

    @property
    def source(self) -> Identity:
        """The person."""
        return self._member.identity

    def pairs(self) -> Iterator[RowPair]:
        """The pairs, one by one."""
        member, identity = self._member, self._member.identity
        for target in islice(self._targets, self._first, None):
            if target.identity != identity:
                yield RowPair(identity, target.identity, member.as_source | target.as_target)


@frozen
class PeopleTable(Table[RowPair]):
    """The pairs of people.

    Attributes:
        blocks: gives the pairs by their source, so that those of a source can be left out without making them.
        contents: on what the pairs depend, for a digest.
    """

    blocks: Callable[[], Iterator[PeopleBlock]] = lambda: iter(())
    contents: Sequence[object] = ()


@frozen
class _People:
    """The people in one file, each once.

    Attributes:
        table: the table from which they were read.
        members: the people by their identity.
        kinds: kinds of their identities, in the order of the columns.
        unreadable: number of rows that could not be read.
        notes: parts of the summary.
    """

    table: Table[RowPerson]
    members: dict[Identity, _Member]
    kinds: tuple[str, ...]
    unreadable: int
    notes: tuple[str, ...]

    def with_each_other(self, *, both_ways: bool) -> PeopleTable:
        """The pairs of these people: each pair once, or both ways."""
        members = [*self.members.values()]

        def blocks() -> Iterator[PeopleBlock]:
            for index, member in enumerate(members):
                first = 0 if both_ways else index + 1
                yield PeopleBlock(member, members, first, len(members) - first - both_ways)

        return self._table(self, blocks, [("group", both_ways)])

    def with_others(self, others: _People) -> PeopleTable:
        """The pairs of each person and each of the others, without the pairs of a person and themself."""
        targets = [*others.members.values()]

        def blocks() -> Iterator[PeopleBlock]:
            for identity, member in self.members.items():
                yield PeopleBlock(member, targets, 0, len(targets) - (identity in others.members))

        return self._table(others, blocks, ["against", *(member.as_target for member in targets)])

    def _table(
        self, targets: _People, blocks: Callable[[], Iterator[PeopleBlock]], contents: list[object]
    ) -> PeopleTable:
        read = (self,) if targets is self else (self, targets)
        return PeopleTable(
            self.table.form,
            (*(f"source_{kind}" for kind in self.kinds), *(f"target_{kind}" for kind in targets.kinds)),
            (pair for block in blocks() for pair in block.pairs()),
            self.table.dialect,
            total=sum(block.count for block in blocks()),
            omitted=sum(people.unreadable for people in read),
            notes=tuple(note for people in read for note in people.notes),
            blocks=blocks,
            contents=[*contents, *(member.as_source for member in self.members.values())],
        )


def _people(file: io.TextIOWrapper | io.FileIO, options: Rows, *, name: str | None = None) -> _People:
    """Read the people in a file, and report rows that cannot be read.

    Args:
        file: the file, as text or as Parquet.
        options: how rows are read.
        name: name of the file in messages; None if it is the only one.

    Raises:
        InvalidInputError: the file has the wrong columns or format.
    """
    where = "" if name is None else f"{name}: "
    try:
        with ExitStack() as stack:
            return _read_people(_people_table(stack, file, options), options, where)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}{error}") from None


def _people_table(stack: ExitStack, file: io.TextIOWrapper | io.FileIO, options: Rows) -> Table[RowPerson]:
    if isinstance(file, io.TextIOWrapper):
        return read_rows(
            file, PEOPLE, options.untyped, encoding=file.encoding, excel_safe=options.excel_safe, copied=False
        )
    from aioconnections.files.parquet import read_parquet

    return stack.enter_context(read_parquet(file, "the input", PEOPLE, options.untyped, cells="people"))


def _read_people(table: Table[RowPerson], options: Rows, where: str) -> _People:
    members: dict[Identity, _Member] = {}
    repeated, unreadable = RepeatedLines(), 0
    for row in table.rows:
        if isinstance(row, BadRowError):
            say(f"{where}{row}")
            unreadable += 1
        elif row.identity in members:
            repeated.add(row.line)
        else:
            members[row.identity] = _Member.of(row)
    notes = [*table.repeats.described("the header"), *repeated.described("a person")]
    kinds = _kinds(members, table, options)
    return _People(table, members, kinds, unreadable, tuple(f"{where}{note}" for note in notes))


def _kinds(members: Iterable[Identity], table: Table[RowPerson], options: Rows) -> tuple[str, ...]:
    """The kinds of these identities; without any, those that the columns name, or all."""
    kinds = {identity.kind for identity in members}
    if not kinds and options.untyped is not None:
        kinds = {options.untyped.kind}
    return tuple(kind for kind in _KINDS if kind in (kinds or table.columns or _KINDS))
