"""``aioconnections serve``: the reference server on loopback."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from aioconnections.cli.exits import GOOD
from aioconnections.errors import UsageError

__all__ = ["serve"]


def serve(
    *, port: Annotated[int, Parameter(validator=Number(gte=0, lte=65_535))] = 0, people: int = 5_000, seed: int = 1
) -> int:
    """Run the reference server on loopback until Ctrl-C.

    It prints "listening on URL" first. Everybody's password is "secret"; the user "admin" sees all connections.

    Args:
        port: Port to listen on; 0 takes one that is free.
        people: How many invented people there are, from 10 to 1,000,000.
        seed: Which people; the same number makes the same ones.
    """
    try:
        from aioconnections.reference import Directory, app
        from aioconnections.reference.server import serve as listen

        listen(app(Directory.generate(people=people, seed=seed)), port=port)
    except (ImportError, ValueError) as error:  # uvicorn is missing, or too many people
        problem = str(error)
    except OSError as error:
        problem = f"port {port}: {error.strerror}"
    else:
        return GOOD
    raise UsageError(problem)
