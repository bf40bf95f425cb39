"""``aioconnections serve``: the reference server on loopback."""

from __future__ import annotations

from aioconnections.cli.exits import GOOD
from aioconnections.errors import UsageError
from aioconnections.reference import Directory, app

__all__ = ["serve"]


def serve(*, port: int = 0, people: int = 5_000, seed: int = 1) -> int:
    """Run the reference server on loopback until Ctrl-C.

    It prints "listening on URL" first. Everybody's password is "secret"; the user "admin" sees all connections.

    Args:
        port: 0 takes one that is free.
        people: how many invented people there are, from 10 to 1,000,000.
        seed: which ones.
    """
    try:
        directory = Directory.generate(people=people, seed=seed)
        from aioconnections.reference.server import serve as listen

        listen(app(directory), port=port)
    except (ImportError, ValueError, OSError) as error:  # uvicorn is missing, too many people, the port is taken
        problem = str(error)
    else:
        return GOOD
    raise UsageError(problem)
