"""Programs that a test starts in processes of their own: servers that get a listening socket, and workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import aioconnections

__all__ = ["serving", "started"]

_PATIENCE = 30.0  # seconds for an end
_PACKAGE = str(Path(aioconnections.__file__).parent.parent)


@contextmanager
def started(
    module: str, *arguments: str, folder: Path, environment: Mapping[str, str], log: Path, keep: Sequence[int] = ()
) -> Generator[subprocess.Popen[bytes]]:
    """A process of ``python -m module arguments`` in a folder. It is asked to end, and must then end by itself."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env={**_environment(folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=keep,
            start_new_session=True,
        )
    try:
        yield process
        assert process.poll() is None, f"{module} has ended:\n{log.read_text()}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        finally:
            _end_group(process)


@contextmanager
def serving(
    module: str,
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    send_buffer: int | None = None,
) -> Generator[str]:
    """The URL of a web server. In its arguments, ``{fd}`` is the number of its listening socket.

    The socket listens from the beginning, so clients need not wait until the server is ready.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # its connections inherit it
        given = [argument.format(fd=listener.fileno()) for argument in arguments]
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        program = started(module, *given, folder=folder, environment=environment, log=log, keep=[listener.fileno()])
        with program:
            listener.close()  # if the server ends, clients are refused and do not wait
            yield url


def _environment(folder: Path) -> dict[str, str]:
    paths = [os.environ.get("PYTHONPATH", ""), _PACKAGE, str(folder)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONDONTWRITEBYTECODE": "1"}


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Worker processes that have outlived their parent."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
