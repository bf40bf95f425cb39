"""The command line: one module per family of commands. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from aioconnections._version import __version__
from aioconnections.cli.check import check
from aioconnections.cli.demo import demo
from aioconnections.cli.exits import INTERRUPTED, USAGE, of_error
from aioconnections.cli.serve import serve
from aioconnections.errors import ConnectionsError

__all__ = ["app", "run"]

app: App = App(
    "aioconnections",
    help="Bulk operations on IBM / HCL Connections.",
    version=__version__,
    help_epilogue="Exit codes: 0 all good, 1 some rows unreadable, failed or unprocessed, 2 usage, 3 login refused, "
    "5 server unavailable, 130 interrupted.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(check)
app.command(serve)
app.command(demo)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        return int(app(arguments, exit_on_error=False) or 0)
    except CycloptsError:  # it has said what is wrong
        return USAGE
    except ConnectionsError as error:
        print(f"aioconnections: {error}", file=sys.stderr)  # noqa: T201 # this is the place that speaks to a person
        return of_error(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
        sys.stdout = None
        return 0
