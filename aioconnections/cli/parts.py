"""The parts that ``aioconnections merge`` reads: their files, their manifests and their rows.

A row is read as it was written: only its number is taken from it.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from glob import glob, has_magic
from pathlib import Path
from typing import Any, cast

from attrs import field, frozen

from aioconnections.cli.numbered import ROW, restored
from aioconnections.cli.terminal import escaped
from aioconnections.cluster.merging import Entry, Row
from aioconnections.cluster.part_manifests import SUFFIX, Layout, PartManifest, manifest_of
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import unescaped
from aioconnections.files.source import opened

__all__ = ["Named", "Part", "columns_of", "named", "other_parts"]

_DIGITS = 19  # of a number of rows
_NUMBERS = {"http_status": int, "attempts": int, "elapsed_ms": float}


@frozen
class Part:
    """The result of one shard.

    Attributes:
        path: the file.
        manifest: its manifest.
    """

    path: Path
    manifest: PartManifest

    @property
    def name(self) -> str:
        """The name in messages."""
        return escaped(str(self.path))

    def entries(self, index: int, *, typed: bool = False) -> Iterator[Entry]:
        """Read the rows, in the order of the file.

        Args:
            index: index of the part, for its entries.
            typed: whether the columns of the outcome in CSV become numbers and None, as in JSON lines.

        Raises:
            InvalidInputError: the file cannot be read, or is not as its manifest says.
        """
        layout, line = self.manifest.layout, 0
        if layout.format == "parquet":
            yield from self._typed_entries(index, typed=typed)
            return
        with opened(self.path, layout.encoding) as file:
            file.reconfigure(errors="strict")
            try:
                rows = _csv(file, layout, typed=typed) if layout.format == "csv" else _json(file)
                for line, number, row in rows:  # noqa: B007 # used below
                    yield self._number(number), index, row
            except InvalidInputError as error:
                problem = str(error)
            except (ValueError, RecursionError):  # the first includes UnicodeError
                problem = "it is not as it was written"
            except OSError as error:
                problem = error.strerror or str(error)
            else:
                return
        where = f" after line {line:,}" if line else ""
        raise InvalidInputError(f"{self.name} cannot be read{where}: {problem}; {self._advice}")

    @property
    def _advice(self) -> str:
        return f"copy it again, or run shard {self.manifest.shard} again"

    def _typed_entries(self, index: int, *, typed: bool) -> Iterator[Entry]:
        """Read the rows of Parquet."""
        from aioconnections.files.parquet import read_raw

        try:
            with self.path.open("rb", buffering=0) as file, read_raw(file, self.name, typed=typed) as (names, rows):
                _check_names(names, self.manifest.layout)
                for row in rows:
                    number = self._number(row[ROW])
                    cells = {restored(name): row[name] for name in self.manifest.layout.columns if name != ROW}
                    yield number, index, cells
        except InvalidInputError as error:
            problem = str(error)
        except OSError as error:
            problem = error.strerror or str(error)
        else:
            return
        raise InvalidInputError(f"{self.name} cannot be read: {problem}; {self._advice}")

    def types(self) -> dict[str, Any]:
        """The types of the columns of Parquet."""
        from aioconnections.files.parquet import opened_parquet

        with self.path.open("rb", buffering=0) as file, opened_parquet(file, self.name) as opened:
            schema = opened.schema_arrow
            return {restored(name): kind for name, kind in zip(schema.names, schema.types, strict=True)}

    def further_columns(self) -> list[str]:
        """The columns that have been added to CSV since it was written."""
        layout = self.manifest.layout
        if layout.format != "csv":
            return []
        with opened(self.path, layout.encoding) as file:
            return [name for name in _header(file, layout)[1] if name not in layout.columns]

    def _number(self, number: object) -> int:
        """The number of a row, as it is written in the row."""
        if isinstance(number, str) and number.isascii() and number.isdecimal() and len(number) < _DIGITS:
            number = int(number)
        if type(number) is not int or not 1 <= number <= self.manifest.input_rows:
            raise InvalidInputError(f"{ROW} is not the number of a row")
        return number


def columns_of(layout: Layout) -> tuple[str, ...]:
    """The columns of the merged result."""
    return tuple(restored(name) for name in layout.columns if name != ROW)


def _csv(file: io.TextIOWrapper, layout: Layout, *, typed: bool) -> Iterator[tuple[int, object, Row]]:
    """The rows, each with its last line and its number."""
    before, header, table = _header(file, layout)
    # A retry with other options may have moved columns of the outcome, or added some.
    places = [header.index(name) for name in layout.columns if name != ROW]
    place_of_number, names = header.index(ROW), columns_of(layout)
    try:
        for fields in table:
            if len(fields) != len(header):
                raise InvalidInputError(f"{len(fields)} fields where the header has {len(header)}")
            cells = [fields[place] for place in places]
            row: Row = dict(zip(names, map(unescaped, cells) if layout.excel_safe else cells, strict=True))
            if typed:
                row.update({name: _value(name, row[name]) for name in layout.added})
            yield before + table.line_num, fields[place_of_number], row
    except csv.Error as error:
        raise InvalidInputError(f"it is not valid CSV: {error}") from None


def _header(file: io.TextIOWrapper, layout: Layout) -> tuple[int, list[str], Any]:
    """Read the header, and return the number of lines before it, its columns and the reader of the rows below it."""
    if layout.declaration and file.readline() != layout.declaration:
        raise InvalidInputError(f"its first line is not {layout.declaration.strip()}")
    table = csv.reader(file, delimiter=layout.delimiter, strict=True)
    names: list[str] = []
    with suppress(csv.Error):
        names = next(table, names)
    header = [*map(unescaped, names)] if layout.excel_safe else names
    _check_names(header, layout)
    return int(bool(layout.declaration)), header, table


def _check_names(names: Sequence[str], layout: Layout) -> None:
    missing = next((name for name in (ROW, *layout.columns) if name not in names), None)
    if missing is not None:
        raise InvalidInputError(f"it has no column {missing}, which its manifest names")


def _value(name: str, cell: object) -> object:
    """The value of a cell in a column of the outcome."""
    return _NUMBERS.get(name, str)(str(cell)) if cell else None


def _json(file: Iterable[str]) -> Iterator[tuple[int, object, Row]]:
    for number, line in enumerate(file, start=1):
        values: object = json.loads(line)
        if not isinstance(values, dict):
            raise InvalidInputError("a line is not a JSON object")
        row = cast("Row", values)
        yield number, row.pop(ROW, None), {restored(name): value for name, value in row.items()}


@frozen
class Named:
    """The files that a command names.

    Attributes:
        parts: the parts with a manifest.
        without_manifest: files without one.
        without_part: parts of which only the manifest is there.
    """

    parts: list[Part] = field(factory=list[Part])
    without_manifest: list[Path] = field(factory=list[Path])
    without_part: list[Part] = field(factory=list[Part])

    @property
    def files(self) -> Iterator[Path]:
        """All files, which must not be overwritten."""
        for path in (*(part.path for part in self.parts), *self.without_manifest):
            yield path
            yield manifest_of(path)
        yield from (manifest_of(part.path) for part in self.without_part)


def named(names: Iterable[Path]) -> Named:
    """The parts with these names, which may be patterns such as ``part-*.csv``; each file once.

    A manifest stands for its part.

    Raises:
        InvalidInputError: there is no such file, or a manifest cannot be read.
    """
    found = Named()
    paths: dict[object, Path] = {}
    for path in (path for name in names for path in _expanded(name)):
        first = paths.setdefault(_identity(path), path)
        if not manifest_of(first).exists() and manifest_of(path).exists():  # a link beside which there is no manifest
            paths[_identity(path)] = path
    for path in paths.values():
        manifest = _manifest(path)
        if manifest is None:
            found.without_manifest.append(path)
        else:
            (found.parts if path.exists() else found.without_part).append(Part(path, manifest))
    return found


def _manifest(part: Path) -> PartManifest | None:
    """The manifest of a part, if there is one."""
    path = manifest_of(part)
    try:
        return PartManifest.read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = error.strerror
    except InvalidInputError as error:
        problem = str(error)
    raise InvalidInputError(f"{escaped(str(path))}: {problem}")


def _identity(path: Path) -> object:
    """The same for two names of one file."""
    try:
        status = path.stat()
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _expanded(name: Path) -> Iterator[Path]:
    """The files that a name stands for."""
    paths = [name]
    if has_magic(str(name)) and not name.exists():  # a shell expands it, but a quoted pattern or a scheduler does not
        found = {*glob(str(name)), *glob(f"{name}{SUFFIX}")}  # noqa: PTH207 # `Path.glob` takes no absolute pattern
        paths = [Path(path) for path in sorted(found)]
        if not paths:
            raise InvalidInputError(f"{escaped(str(name))}: there is no file with such a name")
    for path in paths:
        part = path.with_name(path.name.removesuffix(SUFFIX)) if path.name != SUFFIX else path
        if not part.exists() and not manifest_of(part).exists():
            raise InvalidInputError(f"{escaped(str(path))}: there is no such file")
        yield part


def other_parts(parts: Sequence[Part], missing: Iterable[int]) -> dict[int, Part]:
    """The missing shards of the same input whose manifests are in the folders of the parts."""
    numbers, found = {*missing}, dict[int, Part]()
    for folder in dict.fromkeys(part.path.parent for part in parts):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            with suppress(InvalidInputError, OSError):
                manifest = PartManifest.read(path)
                if manifest.shard.number in numbers and manifest.difference(parts[0].manifest) is None:
                    part = Part(path.with_name(path.name.removesuffix(SUFFIX)), manifest)
                    found.setdefault(manifest.shard.number, part)
    return found
