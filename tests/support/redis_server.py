"""A Redis server of a test's own, on loopback, and a door in front of it that records every byte."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["RecordingDoor", "RedisServer", "check_windows", "running_redis"]

_PATIENCE = 30.0  # seconds for a start or an end


class RedisServer:
    """A Redis that keeps nothing on the disk.

    Attributes:
        port: port on loopback.
        url: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url: str = f"redis://127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> None:
        program = shutil.which("redis-server")
        assert program is not None, "these tests need redis-server, of the Debian package of this name"
        self._process = subprocess.Popen(
            [
                program,
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                str(self._folder),
                *options,
            ],
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + _PATIENCE
        while not self._is_there():
            assert self._process.poll() is None and time.monotonic() < until, "redis-server did not start"  # noqa: PT018 # one reason
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE)
            self._process = None

    def _is_there(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.sendall(b"PING\r\n")
            return link.recv(5) in {b"+PONG", b"-NOAU"}
        return False


@contextmanager
def running_redis(folder: Path, *options: str) -> Generator[RedisServer]:
    server = RedisServer(folder)
    server.start(*options)
    try:
        yield server
    finally:
        server.stop()


class RecordingDoor:
    """Passes connections on to a port, and keeps what went through.

    Attributes:
        port: port on loopback.
        sent: what the clients sent, one for each connection.
        received: what they received, likewise.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self.port: int = self._listener.getsockname()[1]
        self.sent: list[bytearray] = []
        self.received: list[bytearray] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def requests(self) -> Iterator[object]:
        """All requests, parsed."""
        for stream in self.sent:
            yield from _parsed(bytes(stream))

    def replies(self) -> Iterator[object]:
        """The replies to all requests, parsed."""
        for stream in self.received:
            yield from _parsed(bytes(stream))

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                try:
                    server = socket.create_connection(("127.0.0.1", self._to), 5)
                except OSError:
                    client.close()
                    continue
                self._open += [client, server]
                self.sent.append(bytearray())
                self.received.append(bytearray())
                threading.Thread(target=_pump, args=(client, server, self.sent[-1]), daemon=True).start()
                threading.Thread(target=_pump, args=(server, client, self.received[-1]), daemon=True).start()


def _pump(source: socket.socket, to: socket.socket, record: bytearray) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            record += data
            to.sendall(data)
    for each in (source, to):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _parsed(stream: bytes) -> Iterator[object]:
    """What went through a connection (RESP, version 2 or 3); an incomplete message at its end is left out."""
    place = 0

    def line() -> bytes:
        nonlocal place
        end = stream.index(b"\r\n", place)
        found, place = stream[place:end], end + 2
        return found

    def value() -> object:
        nonlocal place
        head = line()
        kind, rest = head[:1], head[1:]
        if kind in {b"*", b"~", b">"}:
            return [value() for _ in range(int(rest))]
        if kind == b"%":
            return [value() for _ in range(2 * int(rest))]
        if kind == b"$" and int(rest) >= 0:
            if len(stream) < place + int(rest) + 2:
                raise ValueError("incomplete")
            found = stream[place : place + int(rest)]
            place += int(rest) + 2
            return found
        return rest

    while place < len(stream):
        try:
            yield value()
        except ValueError:
            return


def check_windows(starts: Iterable[float], rate: float, burst: int) -> None:
    """In any window there are at most `burst` starts more than the rate allows.

    It is the textbook's generic cell rate algorithm, in microseconds, which is how exactly the store counts.
    """
    interval = int(1e6 / rate)
    due = -(10**18)  # of the next start, if all had kept exactly to the rate
    for start in sorted(round(start * 1e6) for start in starts):
        assert due - start <= (burst - 1) * interval + 1, f"a start at {start / 1e6} comes too early"
        due = max(due, start) + interval
