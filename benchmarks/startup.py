"""CPU time that a program takes to start, compared with the imports that no asynchronous client can do without.

``python benchmarks/startup.py [--quick] [--rounds N]``

Each program runs in new processes, which take turns; compiled files exist beforehand. The figures are medians of CPU
time, less that of an interpreter that does nothing. The ratio is to ``import asyncio, ssl, attrs``.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys

NOTHING = "an interpreter that does nothing"
BASE = "import asyncio, ssl, attrs"
_MAIN = "from aioconnections.__main__ import main; import sys; sys.argv = ['aioconnections', {}]; main()"
PROGRAMS = {
    NOTHING: "",
    BASE: BASE,
    "from aioconnections import Client": "from aioconnections import Client",
    "aioconnections --version": _MAIN.format("'--version'"),
    "aioconnections --help": _MAIN.format("'--help'"),
    "aioconnections check --help": _MAIN.format("'check', '--help'"),
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="run one round")
    parser.add_argument("--rounds", type=int, default=15, help="processes per program (default: 15)")
    options = parser.parse_args()
    for program in PROGRAMS.values():
        seconds(program)  # writes the compiled files
    spent: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(1 if options.quick else options.rounds):
        for name, program in PROGRAMS.items():
            spent[name].append(seconds(program))
    medians = {name: statistics.median(values) for name, values in spent.items()}
    nothing, base = medians.pop(NOTHING), medians[BASE]
    print(f"{'':36}{'ms CPU':>8}{'ratio':>8}{'modules':>9}")
    for name, median in medians.items():
        ratio = (median - nothing) / (base - nothing)
        print(f"{name:36}{(median - nothing) * 1000:8.1f}{ratio:8.2f}{modules(PROGRAMS[name]):9}")


def seconds(program: str) -> float:
    """CPU seconds of a new process that runs `program`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(program)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def modules(program: str) -> int:
    """Number of modules that are imported at the end of `program`."""
    return int(run(f"import atexit, sys; atexit.register(lambda: print(len(sys.modules), file=sys.stderr)); {program}"))


def run(program: str) -> str:
    """Run `program` in a new process; returns what it writes to standard error."""
    command = [sys.executable, "-c", program]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603 # from here
    return done.stderr


if __name__ == "__main__":
    main()
