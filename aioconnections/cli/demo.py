"""``aioconnections demo``: check generated pairs against the reference server."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path

from aioconnections.cli.options import Rows
from aioconnections.cli.progress import say
from aioconnections.errors import UsageError

__all__ = ["demo"]

_PEOPLE = 5_000
_SEED = 1
_PAIRS = 10_000


def demo() -> int:
    """Check 10,000 generated pairs against a reference server on loopback.

    The server, its 5,000 people and the pairs are generated; the check is the real one, without a rate limit.
    """
    import tempfile  # not needed for help, as the other modules that functions import here

    from aioconnections.cli.running import Source, do_all
    from aioconnections.cli.verbs import CHECK
    from aioconnections.client import Client

    try:
        import_module("aioconnections.reference.server")  # fail early if the packages that it requires are missing
    except ImportError as error:
        raise UsageError(str(error)) from None
    folder = Path(tempfile.mkdtemp(prefix="aioconnections-demo-"))
    pairs, results = folder / "pairs.csv", folder / "results.csv"
    with _server() as url:
        _write(pairs)
        say(f"A Connections server with {_PEOPLE:,} generated people is listening on {url}")
        say(f"{_PAIRS:,} pairs of these people are in {pairs}:", "")
        _head(pairs)
        say(
            "",
            f"aioconnections check {pairs.name} --url {url} --user admin --max-per-second 0 --ordered "
            f"-o {results.name}",
            wrap=False,
        )
        client = Client(url, auth=("admin", "secret"), max_per_second=None)
        code = do_all(CHECK, client, Source(pairs), Rows(ordered=True, output=results))
    say("", f"The results are in {results}:", "")
    _head(results)
    say("", "To check pairs on your own server (with a prompt for the password, or with AIOCONNECTIONS_PASSWORD):", "")
    say("  aioconnections check pairs.csv --url https://connections.example.com --user YOU -o results.csv", wrap=False)
    return code


def _write(path: Path) -> None:
    import csv

    from aioconnections.reference import Directory

    directory = Directory.generate(people=_PEOPLE, seed=_SEED)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("source_email", "target_email", "source_name", "target_name"))
        for source, target in directory.sample_pairs(_PAIRS, seed=_SEED):
            table.writerow((source.email, target.email, source.name, target.name))


def _head(path: Path) -> None:
    with path.open(encoding="utf-8") as file:
        say(*(f"  {line.rstrip()}" for line in islice(file, 5)), wrap=False)


@contextmanager
def _server() -> Generator[str]:
    """Run the reference server in another process, and yield its URL."""
    import subprocess

    command = (sys.executable, "-m", "aioconnections", "serve", "--people", str(_PEOPLE), "--seed", str(_SEED))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 # runs this package
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            url = line.removeprefix("listening on ").strip()
            if not url:
                raise UsageError('the reference server did not start; run "aioconnections serve" to see the reason')
            yield url
        finally:
            process.terminate()
