"""The columns that a check adds to the row of its pair."""

from __future__ import annotations

from aioconnections.errors import ResponseError
from aioconnections.files.rows import InputRow
from aioconnections.outcomes import Checked, Failed, InDoubt, Outcome, Rejected, Unprocessed, milliseconds

__all__ = ["CHECKED", "COST", "PLANNED", "check_columns", "cost_columns", "planned_check_columns", "problem_of"]

CHECKED = ("status", "http_status")
PLANNED = (*CHECKED, "via")
COST = ("attempts", "elapsed_ms", "error")


def check_columns(outcome: Outcome) -> InputRow:
    """The columns `CHECKED`; only 200 and 404 give `Checked`."""
    match outcome:
        case Checked(status):
            return {"status": status or "none", "http_status": 404 if status is None else 200}
        case Rejected(ResponseError() as error) | Failed(ResponseError() as error):
            return {"status": None, "http_status": error.status}
        case _:
            return {"status": None, "http_status": None}


def planned_check_columns(outcome: Outcome) -> InputRow:
    """The columns `PLANNED`. Nothing was sent for a pair that was found in another way."""
    if isinstance(outcome, Checked) and outcome.via != "head":
        return {"status": outcome.status or "none", "http_status": None, "via": outcome.via}
    return {**check_columns(outcome), "via": "head" if isinstance(outcome, Checked) else None}


def cost_columns(outcome: Outcome) -> InputRow:
    """The columns `COST`."""
    return {
        "attempts": outcome.attempts,
        "elapsed_ms": milliseconds(outcome.elapsed),
        "error": problem_of(outcome),
    }


def problem_of(outcome: Outcome) -> str | None:
    """Why the outcome is no good one; None for a good one."""
    match outcome:
        case Rejected(error) | Failed(error) | InDoubt(error):
            return f"{type(error).__name__}: {error}"
        case Unprocessed(reason):
            return f"unprocessed: {reason}"
        case _:
            return None
