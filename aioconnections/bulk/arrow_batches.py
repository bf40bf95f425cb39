"""The outcomes of a run as Arrow batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from aioconnections.arrow.loading import pyarrow
from aioconnections.arrow.results import Gives, ResultTable
from aioconnections.errors import InvalidInputError
from aioconnections.outcomes import Outcome
from aioconnections.session.telemetry import LOG

if TYPE_CHECKING:
    from aioconnections.bulk.table_rows import TableRows

__all__ = ["ArrowBatches", "joined"]


OutT = TypeVar("OutT", bound=Outcome)


class ArrowBatches(AsyncIterator[Any], Generic[OutT]):
    """Gathers outcomes, and makes a record batch of them.

    If the run raises an exception, it is raised after the batch of the outcomes before it.

    Args:
        outcomes: the run.
        gathered: holds the outcomes that are in no batch yet.
        gives: what the run does.
        source: the table that is the source of the run, if it is one.
        rows: number of rows of each batch but the last.
    """

    def __init__(
        self,
        outcomes: AsyncIterator[OutT],
        gathered: list[OutT],
        gives: Gives,
        source: TableRows | None,
        rows: int,
    ) -> None:
        if type(rows) is not int or rows < 1:
            raise InvalidInputError(f"rows must be a whole number of at least 1, got {rows!r:.60}")
        _ = pyarrow()
        self._outcomes = outcomes
        self._gathered = gathered
        self._gives: Gives = gives
        self._source = source
        self._rows = rows
        self._result: ResultTable | None = None
        self._failure: Exception | None = None
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        gathered = self._gathered
        while len(gathered) < self._rows and not self._is_over:
            try:
                gathered.append(await anext(self._outcomes))
            except StopAsyncIteration:
                self._is_over = True
            except Exception as error:  # noqa: BLE001 # raised below, after the outcomes
                self._is_over, self._failure = True, error
        if gathered:
            table = await self._table()
            batch = table.batch(gathered, _rows_of(gathered) if self._source is not None else ())
            gathered.clear()
            return batch
        failure, self._failure = self._failure, None
        raise failure or StopAsyncIteration

    @property
    def known_schema(self) -> Any:
        """The schema of the batches, if there was one; else None."""
        return None if self._result is None else self._result.schema

    async def schema(self) -> Any:
        """The schema of the batches."""
        return (await self._table()).schema

    async def _table(self) -> ResultTable:
        if self._result is None:
            carried = None if self._source is None else await self._source.schema()
            self._result = ResultTable(self._gives, carried)
            if self._result.replaced:
                names = ", ".join(self._result.replaced)
                LOG.warning("these columns of the source are replaced by those of the result: %s", names)
        return self._result


def joined(batches: list[Any], schema: Any) -> Any:
    """The table of some batches; None if their schema is not known."""
    return None if schema is None else pyarrow().Table.from_batches(batches, schema)


def _rows_of(outcomes: Sequence[Outcome]) -> list[Any]:
    """The rows that outcomes of a table are about."""
    return [outcome.item.table_row for outcome in outcomes]  # type: ignore[attr-defined] # each item is of a table
