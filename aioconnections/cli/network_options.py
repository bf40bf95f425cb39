"""The options for the people and the result of ``aioconnections network``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from attrs import frozen
from cyclopts import Parameter

from aioconnections.cli.options import PersonRows
from aioconnections.errors import InvalidInputError
from aioconnections.files.dialect import Format, is_parquet_name

__all__ = ["NETWORK_ROWS", "NetworkFormat", "NetworkRows"]

NetworkFormat: TypeAlias = Literal["csv", "jsonl", "parquet", "graphml"]


@Parameter(name="*")
@frozen(kw_only=True)
class NetworkRows(PersonRows):
    """How people are read and a network is written."""

    network_format: Annotated[NetworkFormat | None, Parameter(name="--format")] = None
    """Format of the result. By default GraphML if the name of the output ends in .graphml, Parquet if it ends in
    .parquet, else the format of the input, or CSV for one in Parquet."""
    # Options that a network does not have: its rows are pairs, and it is written at the end.
    format: Annotated[Format | None, Parameter(parse=False)] = None
    retry: Annotated[Path | None, Parameter(parse=False)] = None
    ordered: Annotated[bool, Parameter(parse=False)] = False

    def is_graph(self) -> bool:
        """Whether the result is GraphML.

        Raises:
            InvalidInputError: options conflict.
        """
        is_named = self.output is not None and self.output.suffix.lower() == ".graphml"
        chosen = "jsonl" if self.json else self.network_format
        if is_named and chosen not in {None, "graphml"}:
            raise InvalidInputError(f"{self.output} is named like GraphML, and the format is {chosen}; change one")
        return is_named or chosen == "graphml"

    @property
    def form(self) -> Format | None:
        """The format of rows that an option selects; None for GraphML too.

        Raises:
            InvalidInputError: options conflict.
        """
        chosen = self.network_format
        if self.json and chosen not in {None, "jsonl"}:
            raise InvalidInputError(f"--json and --format {chosen} cannot be used together; use one of them")
        if self.excel_safe and self.is_graph():
            raise InvalidInputError("--excel-safe is for CSV; GraphML has no cells that Excel evaluates")
        if chosen == "graphml" and not self.json and self.output is not None and is_parquet_name(self.output):
            raise InvalidInputError(f"{self.output} is named like Parquet, and the format is graphml; change one")
        form = self.named("jsonl" if self.json else None if chosen == "graphml" else chosen)
        self.check_form(form)
        return form


NETWORK_ROWS = NetworkRows()
