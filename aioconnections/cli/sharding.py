"""``check --shard``: the rows of one shard of an input, with their numbers, and the manifest of the result.

Every shard reads all rows. So it knows their numbers and their digest, by which ``aioconnections merge`` finds out
whether parts belong together and which rows are missing, without a coordinator. The digest is of whole rows, because
the columns that are copied must agree too.
"""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from attrs import define, evolve, field, frozen

from aioconnections._version import __version__
from aioconnections.cli.apart import NamedFile, keep_apart, option_files
from aioconnections.cli.group import PeopleTable
from aioconnections.cli.numbered import ROW, carried
from aioconnections.cli.options import Rows
from aioconnections.cli.output import replacing
from aioconnections.cli.progress import say
from aioconnections.cli.run_options import RunOptions
from aioconnections.cli.running import Source
from aioconnections.cli.server import ServerOptions
from aioconnections.cli.terminal import escaped
from aioconnections.cli.verbs import BulkVerb
from aioconnections.cluster.part_manifests import Digest, Layout, PartManifest, manifest_of
from aioconnections.cluster.shards import Shard
from aioconnections.errors import InvalidInputError
from aioconnections.files.rows import BadRowError, InputRow, Item, RowPair, Table
from aioconnections.files.sheet import Sheet
from aioconnections.files.source import count_rows

__all__ = ["ShardSource", "sharded"]

ItemT = TypeVar("ItemT", bound=Item)


@define
class _Choice:
    """Chooses the rows of a shard, and counts all rows.

    Attributes:
        shard: the shard.
        input_rows: number of rows so far.
        rows: number of rows of the shard so far.
        digest: digest of the rows so far.
        ended: whether all rows have been read.
    """

    shard: Shard
    input_rows: int = 0
    rows: int = 0
    digest: Digest = field(factory=Digest)
    ended: bool = False

    def of(self, items: Iterator[ItemT | BadRowError]) -> Iterator[ItemT | BadRowError]:
        """The rows of the shard, with their numbers."""
        for number, item in enumerate(items, start=1):
            self.input_rows = number
            if isinstance(item, BadRowError):
                self.digest.add((item.line, item.row))
                if self.shard.holds_row(number):
                    item.row = self._numbered(number, item.row)
                    yield item
                continue
            self.digest.add(item.row)
            if self.shard.holds(cast("RowPair", item).source):
                yield cast("ItemT", evolve(cast("Any", item), row=self._numbered(number, item.row)))
        self.ended = True

    def of_people(self, table: PeopleTable) -> Iterator[RowPair]:
        """The pairs of the people in the shard as sources, with their numbers; no other pairs are made."""
        for people in table.contents:
            self.digest.add(people)
        number = 0
        for block in table.blocks():
            self.input_rows += block.count
            if not self.shard.holds(block.source):
                number += block.count
                continue
            for number, pair in enumerate(block.pairs(), start=number + 1):  # noqa: B020 # it goes on
                yield evolve(pair, row=self._numbered(number, pair.row))
        self.ended = True

    def _numbered(self, number: int, row: InputRow) -> InputRow:
        self.rows += 1
        return {ROW: number, **{carried(name): value for name, value in row.items()}}


@frozen
class ShardSource(Source):
    """The rows of one shard of an input.

    Attributes:
        whole: the whole input.
        shard: the shard.
        output: file of the result; None for a dry run without one.
        server: URL of the server.
    """

    whole: Source = field(kw_only=True)
    shard: Shard = field(kw_only=True)
    output: Path | None = field(kw_only=True)
    server: str = field(kw_only=True)
    _choice: _Choice = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_choice", _Choice(self.shard))

    @property
    def files(self) -> Iterator[NamedFile]:
        """See `Source`."""
        return self.whole.files

    @property
    def piped(self) -> bool:
        """See `Source`."""
        return self.whole.piped

    @property
    def replaced(self) -> str | None:
        """See `Source`."""
        return None if self.whole.replaced is None else f"{self.whole.replaced} and --shard"

    @contextmanager
    def table(
        self, verb: BulkVerb[ItemT], options: Rows
    ) -> Generator[tuple[Table[ItemT], io.TextIOWrapper | io.FileIO | None]]:
        """See `Source`."""
        with self.whole.table(verb, options) as (table, file):
            choice, untyped = self._choice, options.untyped
            choice.digest.add(None if untyped is None else (untyped.kind, sorted(untyped.columns.items())))
            columns = (ROW, *map(carried, table.columns)) if table.form != "jsonl" else ()
            if isinstance(table, PeopleTable):
                total = sum(block.count for block in table.blocks() if self.shard.holds(block.source))
                people = evolve(table, columns=columns, rows=choice.of_people(table), total=total)
                yield cast("Table[ItemT]", people), file
            else:
                share = None if table.total is None else -(-table.total // self.shard.of)
                types = {carried(name): kind for name, kind in table.types.items()}
                yield evolve(table, columns=columns, rows=choice.of(table.rows), total=share, types=types), file

    def expected(self, table: Table[Any], options: Rows) -> int | None:
        """See `Source`. Shards of a file have about the same size."""
        del options
        if table.total is not None:
            return table.total
        rows = count_rows(self.whole.path)
        return None if rows is None else -(-rows // self.shard.of)

    def begin(self) -> None:
        """Remove the manifest of the earlier result, which is about to be replaced."""
        if self.output is not None:
            manifest_of(self.output).unlink(missing_ok=True)

    def end(self, table: Table[Any], result: Sheet, added: tuple[str, ...], *, complete: bool) -> None:
        """Write the manifest."""
        choice = self._choice
        if self.output is None or not choice.ended:
            say("aioconnections: the input was not read to its end, so the result is no part for aioconnections merge")
            return
        manifest = PartManifest(
            shard=self.shard,
            rows=choice.rows,
            input_rows=choice.input_rows,
            digest=choice.digest.value,
            omitted=table.omitted,
            complete=complete,
            server=self.server,
            layout=_layout(result, added),
            version=__version__,
        )
        path = manifest_of(self.output)
        try:
            with replacing(path, "ascii", mode_of=self.output) as file:
                _ = file.write(manifest.as_json())
        except OSError as error:
            error.filename = str(path)
            raise


def _layout(result: Sheet, added: tuple[str, ...]) -> Layout:
    dialect = result.dialect
    return Layout(
        result.form,
        tuple(result.columns),
        added,
        encoding=result.encoding,
        marked=result.marked,
        delimiter=dialect.delimiter,
        line_end=dialect.line_end,
        declaration=dialect.declaration,
        excel_safe=dialect.excel_safe,
    )


def sharded(source: Source, shard: str, server: ServerOptions, run: RunOptions, rows: Rows) -> ShardSource:
    """One shard of an input.

    Args:
        source: the whole input.
        shard: the shard, as in ``3/16``.
        server: server and login.
        run: journal and dry run.
        rows: how rows are read and written.

    Raises:
        InvalidInputError: there is no such shard, options conflict, or the manifest would be written over a file that
            the command reads.
    """
    which = Shard.parse(shard)
    if rows.retry is not None:
        raise InvalidInputError(
            "--shard and --retry cannot be used together; --retry alone, with the same file as --output, completes the "
            "result of a shard"
        )
    output = rows.output
    if output is None and not run.dry_run:
        raise InvalidInputError("--shard needs --output, the file for the rows of the shard")
    if output is not None:
        if output.exists() and not output.is_file():
            raise InvalidInputError(f"--shard needs a file as --output; {escaped(str(output))} is none")
        manifest = manifest_of(output)
        if not os.access(manifest.parent, os.W_OK):
            name = escaped(manifest.name)
            raise InvalidInputError(f"--shard writes {name} beside the result; choose a folder that can be written")
        keep_apart([*source.files, *option_files(server)], output=manifest, journal=run.record)
    address = "" if run.dry_run else _url(server)
    return ShardSource(source.path, whole=source, shard=which, output=output, server=address)


def _url(server: ServerOptions) -> str:
    address = server.address()
    return f"{address.origin}{address.context}"
