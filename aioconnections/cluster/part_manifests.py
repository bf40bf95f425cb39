"""The manifest of a part, which is the result of one shard: what the part must agree with to be merged with others.

It is a small JSON file beside the part, named like it with ``.shard.json`` at the end, and written when the result is
complete. So a part without a manifest is one whose run is still going on, or was killed.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from attrs import asdict, field, fields_dict, validators

from aioconnections.cluster.shards import Shard
from aioconnections.errors import InvalidInputError
from aioconnections.reprs import define, frozen

__all__ = ["SUFFIX", "Digest", "Layout", "PartManifest", "manifest_of"]

SUFFIX = ".shard.json"
"""Suffix of the name of a manifest, after the name of the part."""

_VERSION = 1
_TEXT = validators.instance_of(str)
_FLAG = validators.instance_of(bool)


def _texts(value: object) -> tuple[str, ...]:
    """The texts of a JSON array; something else stays as it is, for the validator to refuse."""
    return tuple(cast("list[str]", value)) if isinstance(value, list | tuple) else cast("tuple[str, ...]", value)


def _count(manifest: object, attribute: object, value: int) -> None:
    del manifest, attribute
    if type(value) is not int or value < 0:  # True is an int too
        raise TypeError("not a number of rows")


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    return cast("dict[str, Any]", value)


def manifest_of(part: Path) -> Path:
    """The file of the manifest of a part."""
    return part.with_name(part.name + SUFFIX)


@frozen
class Layout:
    """The form of a result, which is the same for all parts of one input.

    Attributes:
        format: ``csv``, ``jsonl`` or ``parquet``.
        columns: names of the columns; without those of the input if each of its rows has its own.
        added: names of the columns of the outcome, of which the first tells whether a row is done.
        encoding: encoding of the file.
        marked: whether the file begins with a byte order mark.
        delimiter: delimiter of CSV.
        line_end: line end of CSV.
        declaration: first line of CSV, such as ``sep=;``, with its line end; empty if there is none.
        excel_safe: whether cells are escaped that Excel would evaluate.
    """

    format: str = field(validator=validators.in_(("csv", "jsonl", "parquet")))
    columns: tuple[str, ...] = field(
        converter=_texts, validator=validators.deep_iterable(_TEXT, validators.instance_of(tuple))
    )
    added: tuple[str, ...] = field(
        converter=_texts,
        validator=[validators.deep_iterable(_TEXT, validators.instance_of(tuple)), validators.min_len(1)],
    )
    encoding: str = field(default="utf-8", validator=validators.in_(("utf-8", "utf-16-le")))
    marked: bool = field(default=False, validator=_FLAG)
    delimiter: str = field(default=",", validator=[_TEXT, validators.min_len(1), validators.max_len(1)])
    line_end: str = field(default="\n", validator=_TEXT)
    declaration: str = field(default="", validator=_TEXT)
    excel_safe: bool = field(default=False, validator=_FLAG)


@frozen(kw_only=True)
class PartManifest:
    """What is known about a part.

    Attributes:
        shard: the shard.
        rows: number of rows of the part.
        input_rows: number of rows of the whole input.
        digest: digest of the rows of the whole input, in their order.
        omitted: number of rows of people that could not be read, in the input of ``--group`` and ``--against``.
        complete: whether the run ended normally; otherwise some rows may be unprocessed.
        server: URL of the server.
        layout: form of the part.
        version: version of this package.
    """

    shard: Shard
    rows: int = field(validator=_count)
    input_rows: int = field(validator=_count)
    digest: str = field(validator=_TEXT)
    omitted: int = field(validator=_count)
    complete: bool = field(validator=_FLAG)
    server: str = field(validator=_TEXT)
    layout: Layout
    version: str = field(validator=_TEXT)

    def as_json(self) -> str:
        """The content of the file."""
        values: dict[str, object] = asdict(self, filter=lambda attribute, _: attribute.name != "shard")
        shard = {"shard": self.shard.number, "of": self.shard.of}
        return json.dumps({"manifest": _VERSION, **shard, **values}, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> PartManifest:
        """Read a manifest.

        Raises:
            InvalidInputError: the file is not a manifest, or is one of a later version of this package.
            OSError: the file cannot be read.
        """
        content = path.read_bytes()
        try:
            values = _object(json.loads(content))
            if values["manifest"] == _VERSION:
                return cls._from(values)
            problem = f"the manifest has version {values['manifest']!r:.20}; use a later version of aioconnections"
        except (ValueError, TypeError, KeyError, RecursionError):  # the first includes InvalidInputError
            problem = "this is not the manifest of a shard, or it is damaged"
        raise InvalidInputError(problem)

    @classmethod
    def _from(cls, values: dict[str, Any]) -> PartManifest:
        layout, number, of = _object(values["layout"]), values["shard"], values["of"]
        if type(number) is not int or type(of) is not int:
            raise TypeError("not a number")
        own = {name: values[name] for name in fields_dict(cls) if name not in {"shard", "layout"}}
        form = Layout(**{name: layout[name] for name in fields_dict(Layout)})
        return cls(shard=Shard(number, of=of), layout=form, **own)

    def difference(self, other: PartManifest) -> str | None:
        """How this manifest contradicts another one, so that their parts cannot be merged; None if it does not."""
        if self.shard.of != other.shard.of:
            return f"it is one of {self.shard.of} shards, not of {other.shard.of}"
        if self.input_rows != other.input_rows:
            return f"its input has {self.input_rows:,} rows, not {other.input_rows:,}"
        if self.digest != other.digest:
            return "its input has other rows or another order, or was read with other options"
        if self.server != other.server:
            return f"its server is {self.server}, not {other.server}"
        mine, others = asdict(self.layout), asdict(other.layout)
        different = next((name for name in mine if mine[name] != others[name]), None)
        if different is None:
            return None
        return f"it has another form ({different.replace('_', ' ')}): {mine[different]!r}, not {others[different]!r}"


@define
class Digest:
    """A digest of the rows of an input, built row by row, which every version of Python computes in the same way."""

    _hash: blake2b = field(factory=lambda: blake2b(digest_size=16))

    def add(self, row: object) -> None:
        """Add one row, which may consist of text, numbers, lists and objects of JSON."""
        self._hash.update(ascii(row).encode("ascii"))
        self._hash.update(b"\n")

    @property
    def value(self) -> str:
        """The digest of the rows so far."""
        return self._hash.hexdigest()
