"""Recognizes tables among the sources of bulk runs, without loading what reads them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from aioconnections.tables import Tabular

__all__ = ["Source", "source_of"]

T = TypeVar("T")

_SIGNS = ("__arrow_c_stream__", "__arrow_c_array__", "collect_schema", "iloc")  # the last two to refuse a table


Source: TypeAlias = "Iterable[T] | AsyncIterable[T] | Tabular"
"""A source of items: any iterable or async iterable, or a table with a row for each item; see `TableSource`."""


def source_of(source: object, shape: Literal["pairs", "people", "invites", "connections", "invitations"]) -> object:
    """The items of a source: those in the rows of a table, or the source itself.

    Raises:
        InvalidInputError: this kind of table cannot be read, or lacks a column.
        UsageError: pyarrow is missing.
    """
    if not any(hasattr(source, name) for name in _SIGNS):
        return source
    if hasattr(source, "iloc") and not hasattr(source, "columns"):  # a column of pandas may hold any objects
        return source
    from aioconnections.client.table_source import SHAPES, rows_of

    return rows_of(source, SHAPES[shape])
