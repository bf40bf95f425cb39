"""``python -m aioconnections`` and the ``aioconnections`` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; without its extra, say in one line how to get it."""
    try:
        from aioconnections.cli import main as run

        run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {"cyclopts", "rich"}:
            raise
        sys.exit('aioconnections: the command line needs two more packages: pip install "aioconnections[cli]"')
    except KeyboardInterrupt:  # while it was still being imported
        sys.exit(130)


if __name__ == "__main__":
    main()
