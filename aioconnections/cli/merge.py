"""``aioconnections merge``: one result from the parts that ``check --shard`` has written."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attrs import define, field
from cyclopts import Parameter

from aioconnections.cli.exits import GOOD, SOME_BAD
from aioconnections.cli.options import PLAIN, Result
from aioconnections.cli.progress import say
from aioconnections.errors import InvalidInputError

if TYPE_CHECKING:
    from aioconnections.cli.parts import Named, Part
    from aioconnections.cluster.merging import Account, Ranges, Run

__all__ = ["merge"]


def merge(*parts: Annotated[Path, Parameter(json_list=False)], result: Result = PLAIN) -> int:
    """Make one result of the parts that "aioconnections check --shard" has written.

    The result has each row of the input once, in the order of the input, like that of a check without --shard but with
    --ordered. It has no column input_row. No request is sent, and the parts are not changed.

    What is missing, or there twice, is printed: shards, and rows by their numbers. The exit code is 0 only if each row
    is there exactly once and has a status. It is 1 if rows are missing, twice or without a status; what is known is
    written nevertheless. It is 2, and nothing is written, if parts do not belong together, because they have different
    inputs, options or numbers of shards, or if a part cannot be read.

    Of a row that is there twice, the one with a status is taken. If both have a status, and the two differ, the row is
    written without a status, and its error names both, so that "aioconnections check --retry" checks it again.

    A part without its manifest (part-3.csv.shard.json beside part-3.csv) is left out: its run has not ended. To run
    the rows of a part without a status again, use "aioconnections check --retry part-3.csv --output part-3.csv".

    Args:
        parts: Files of parts, in any order, or patterns such as "part-*.csv".
        result: How the result is written. By default it has the format of the parts.
    """
    from aioconnections.cli.apart import NamedFile, keep_apart
    from aioconnections.cli.parts import named

    if not parts:
        raise InvalidInputError("the parts are missing; name their files, as in: aioconnections merge part-*.csv")
    found = named(parts)
    keep_apart([NamedFile.at(path, "a part or its manifest") for path in found.files], output=result.output)
    _refuse_different([*found.parts, *found.without_part])
    if not found.parts:
        for line in _left_out(found):
            say(f"aioconnections: {line}")
        raise InvalidInputError("there is no part with its manifest, so nothing can be merged")
    return _merge(found, result)


def _refuse_different(parts: list[Part]) -> None:
    for part in parts[1:]:
        difference = part.manifest.difference(parts[0].manifest)
        if difference is not None:
            raise InvalidInputError(f"{part.name} does not belong to {parts[0].name}: {difference}")


@define
class _Scan:
    """What the first reading of a part shows.

    Attributes:
        rows: number of rows.
        undone: number of rows without an outcome.
        ascending: whether the rows are in the order of the input.
    """

    rows: int = 0
    undone: int = 0
    ascending: bool = True

    @classmethod
    def of(cls, part: Part) -> _Scan:
        """Read a part once, so that nothing is written if it cannot be read."""
        scan, before, column = cls(), 0, part.manifest.layout.added[0]
        for number, _, row in part.entries(0, typed=True):
            scan.rows += 1
            scan.undone += not row.get(column)
            scan.ascending = scan.ascending and number >= before
            before = number
        return scan


@define
class _Merging:
    """The parts, and the sorted runs that they become."""

    parts: list[Part]
    typed: bool
    folder: Path
    scans: list[_Scan] = field(factory=list[_Scan])

    def runs(self) -> Iterator[Run]:
        """The rows in ascending runs; a part that is not ascending is sorted in temporary files."""
        from aioconnections.cluster.merging import sorted_runs

        for index, scan in enumerate(self.scans):
            if scan.ascending:
                yield self._run(index)
            else:
                yield from sorted_runs(self._run(index)(), self.folder)

    def _run(self, index: int) -> Run:
        return lambda: self.parts[index].entries(index, typed=self.typed)


def _merge(found: Named, result: Result) -> int:
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from attrs import evolve

    from aioconnections.cli.numbered import ROW
    from aioconnections.cli.output import output_file
    from aioconnections.cli.parts import columns_of
    from aioconnections.cluster.merging import Account, merged, whole
    from aioconnections.files.dialect import CsvDialect
    from aioconnections.files.sheet import Sheet

    parts, first = found.parts, found.parts[0].manifest
    layout = first.layout
    form = result.form or ("jsonl" if layout.format == "jsonl" else "csv")
    columns = columns_of(layout)
    result.check_form(form)
    if form != "jsonl" and ROW not in layout.columns:
        name = "CSV" if form == "csv" else "Parquet"
        raise InvalidInputError(f"the JSON lines have no common columns, so they cannot be written as {name}")
    dialect = CsvDialect(layout.delimiter, layout.line_end, layout.declaration, layout.excel_safe)
    if result.excel_safe:
        dialect = evolve(dialect, excel_safe=True)
    scans = [*map(_Scan.of, parts)]
    account = Account(first.input_rows, [part.name for part in parts], layout.added)
    encoding = layout.encoding if form == "csv" else "utf-8"
    with (
        TemporaryDirectory(prefix=".merge-", dir=_folder(result.output)) as folder,
        output_file(result.output, None, encoding) as output,
        ExitStack() as stack,
    ):
        typed = form == "parquet" or (form == "jsonl" and layout.format != "parquet")
        runs = [*_Merging(parts, typed, Path(folder), scans).runs()]
        if form == "parquet":
            write: Sheet = stack.enter_context(output.parquet(columns, _types(found.parts, columns)))
        else:
            file, marked = stack.enter_context(output.as_a_whole()), layout.marked and form == "csv"
            write = Sheet(file, form, columns, fresh=False, dialect=dialect, marked=marked)
        for row in whole(merged(runs, Path(folder)), account):
            write(row)
        write.finish()
    problems = [*_left_out(found), *_of_shards(found), *_of_parts(parts, scans), *_of_rows(account)]
    for problem in problems:
        say(f"aioconnections: {problem}")
    for note in _notes(parts):
        say(f"aioconnections: {note}")
    say(_summary(account, len(parts)))
    return SOME_BAD if problems or not account.good else GOOD


def _types(parts: list[Part], columns: tuple[str, ...]) -> dict[str, object]:
    """The types of the columns of Parquet: those of the first part, or text for the columns of the input."""
    from aioconnections.files.parquet import TEXT

    layout = parts[0].manifest.layout
    if layout.format == "parquet":
        return dict(parts[0].types())
    return {name: TEXT for name in columns if name not in layout.added}


def _folder(output: Path | None) -> Path | None:
    """The folder for temporary files: that of the result, which has room for it; None for the usual one."""
    folder = None if output is None else Path(os.path.realpath(output)).parent
    return folder if folder is not None and os.access(folder, os.W_OK) else None


def _left_out(found: Named) -> Iterator[str]:
    """Files that are left out."""
    from aioconnections.cli.terminal import escaped
    from aioconnections.cluster.part_manifests import manifest_of

    for path in found.without_manifest:
        name, manifest = escaped(str(path)), escaped(manifest_of(path).name)
        yield f"{name} is left out: it has no {manifest}, so its run has not ended, or it was copied without it"
    for part in found.without_part:
        yield f"{part.name}, the part with shard {part.manifest.shard}, is missing; only its manifest is there"


def _of_shards(found: Named) -> Iterator[str]:
    """Shards that are missing or twice."""
    from aioconnections.cli.parts import other_parts
    from aioconnections.cluster.merging import Ranges

    parts, of = found.parts, found.parts[0].manifest.shard.of
    given: defaultdict[int, list[str]] = defaultdict(list)
    for part in parts:
        given[part.manifest.shard.number].append(part.name)
    missing = [number for number in range(1, of + 1) if number not in given]
    if missing:
        ranges = Ranges()
        for number in missing:
            ranges.add(number)
        yield f"{len(missing):,} of {of:,} shards {'is' if len(missing) == 1 else 'are'} missing: {ranges}"
    known = {part.path for part in found.without_part}
    for number, part in other_parts(parts, missing).items():
        if part.path.exists():
            yield f"shard {number} may be in {part.name}, which is not named"
        elif part.path not in known:
            yield f"{part.name}, the part with shard {number}/{of}, is missing; only its manifest is there"
    for number, names in sorted(given.items()):
        if len(names) > 1:
            yield f"shard {number} is there {_times(len(names))}: {', '.join(names)}"


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count:,} times"


def _of_parts(parts: list[Part], scans: list[_Scan]) -> Iterator[str]:
    """Parts that are not complete, or not as they were written."""
    for part, scan in zip(parts, scans, strict=True):
        manifest = part.manifest
        if scan.rows != manifest.rows:
            yield f"{part.name} has {scan.rows:,} rows, but had {manifest.rows:,} when it was written"
        if scan.undone and not manifest.complete:
            yield f"{part.name} is incomplete, because its run ended early: {scan.undone:,} rows have no outcome"
    omitted = max(part.manifest.omitted for part in parts)
    if omitted:
        which = "one row" if omitted == 1 else f"{omitted:,} rows"
        yield f"{which} of people could not be read, so the input lacks their pairs"


def _of_rows(account: Account) -> Iterator[str]:
    """Rows that are missing, twice or without an outcome, by their numbers in the input."""
    column = account.added[0]
    found: dict[str, Ranges] = {
        "{} missing": account.missing,
        "{} there more than once": account.twice,
        f"{{}} there with contradictory outcomes, and written without a {column}": account.disputed,
        f"{{}} without a {column}": account.undone,
    }
    for text, rows in found.items():
        if rows.count:
            verb = "is" if rows.count == 1 else "are"
            which = f"{rows.count:,} of {account.rows:,} rows"
            yield f"{which} {text.format(verb)}: {'row' if rows.count == 1 else 'rows'} {rows}"


def _notes(parts: list[Part]) -> Iterator[str]:
    for part in parts:
        further = part.further_columns()
        if further:
            yield f"{part.name} has further columns, which are left out: {', '.join(further)}"
    versions = sorted({part.manifest.version for part in parts})
    if len(versions) > 1:
        yield f"the parts were written by different versions of aioconnections: {', '.join(versions)}"


def _summary(account: Account, parts: int) -> str:
    done = account.outcomes.total()
    text = f"{account.rows - account.missing.count:,} rows from {parts:,} part{'s' * (parts != 1)}"
    counts = [f"{count:,} {outcome}" for outcome, count in account.outcomes.most_common()]
    return f"{text}: {', '.join(counts)}" if done else text
