"""``python -m aioconnections`` and the ``aioconnections`` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; if its packages are missing, exit with a message that says how to install them."""
    try:
        from aioconnections.cli import main as run

        run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {
            "cryptography",
            "cyclopts",
            "platformdirs",
            "rich",
        }:
            raise
        sys.exit('aioconnections: the command line needs more packages; run: pip install "aioconnections[cli]"')
    except KeyboardInterrupt:  # during the import
        sys.exit(130)


if __name__ == "__main__":
    main()
