"""The further terminals of a guide: their commands, started as shown and ended with the test."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from readme_blocks import commands_of

__all__ = ["free_port", "terminals"]

_LONGEST = 60.0  # seconds for a start


def free_port() -> str:
    """The number of a port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@contextmanager
def terminals(blocks: Iterable[str], ports: Iterable[str], folder: Path) -> Generator[None]:
    """Run each console block in a terminal of its own, in `folder`, and wait until the ports of their options listen.

    Raises:
        AssertionError: a command has ended, or does not listen.
    """
    with ExitStack() as stack:
        for text in blocks:
            process = stack.enter_context(_terminal(text, folder))
            for port in ports:
                if f"--port {port}" in text:
                    _wait_for(port, process)
        yield


@contextmanager
def _terminal(text: str, folder: Path) -> Generator[subprocess.Popen[bytes]]:
    python = shlex.quote(sys.executable)
    modules = "".join(f'{name}() {{ {python} -m {name} "$@"; }}\n' for name in ("aioconnections", "dask"))
    script = modules + "\n".join(commands_of(text))
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(
        ["/bin/sh", "-c", script], cwd=folder, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(port: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _LONGEST
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
            return
        assert process.poll() is None, "the command of a terminal has ended"
        assert time.monotonic() < end, f"nothing listens on port {port}"
        time.sleep(0.05)
