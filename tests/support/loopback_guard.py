"""Keeps the tests on the loopback interface.

An audit hook sees every use of the `socket` module: by asyncio, trio, threads and libraries. Traffic that would leave
the machine raises, including name look-ups. Because code under test may swallow any exception, each attempt is also
written to a log that `conftest.py` reads after each test. Child processes that run Python write to the same log, see
`sitecustomize.py`.

The hook does not see traffic that bypasses the `socket` module, such as that of uvloop, or the look-up of a name that
is passed to `connect`, which happens before the audit event (it does see the connection that follows).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path

__all__ = ["LOG_VARIABLE", "OutsideTrafficError", "install", "new_attempts", "watch_children"]

LOG_VARIABLE = "LOOPBACK_GUARD_LOG"

_SENDING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKING_UP = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_LOCAL_FAMILY = getattr(socket, "AF_UNIX", None)


class OutsideTrafficError(RuntimeError):
    """A test tried to reach something other than this machine."""


class _State:
    log: Path | None = None
    seen = 0


def install(log: Path) -> None:
    """Forbid traffic that leaves the machine and note every attempt in `log`. A later call only changes the log."""
    if _State.log is None:
        sys.addaudithook(_on_audit_event)
    log.touch()
    _State.log, _State.seen = log, log.stat().st_size


def watch_children() -> None:
    """Guard Python processes started from now on too, if they inherit the environment."""
    here = str(Path(__file__).parent)
    inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != here]
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *inherited])
    os.environ[LOG_VARIABLE] = str(_State.log)


def new_attempts() -> list[str]:
    """Attempts since the last call, by this process and its children."""
    if _State.log is None or _State.log.stat().st_size == _State.seen:
        return []
    with _State.log.open("rb") as log:
        log.seek(_State.seen)
        noted = log.read()
    _State.seen += len(noted)
    return noted.decode().splitlines()


def _on_audit_event(event: str, args: tuple[object, ...]) -> None:
    if event in _SENDING:
        sock, address = args
        if address is None or getattr(sock, "family", None) == _LOCAL_FAMILY or _is_loopback(_host_of(address)):
            return
        _refuse(event, address)
    elif event in _LOOKING_UP:
        if not _is_loopback(args[0]):
            _refuse(event, args[0])
    elif event == "socket.getnameinfo" and not _is_loopback(_host_of(args[0])):
        _refuse(event, args[0])


def _host_of(address: object) -> object:
    return address[0] if isinstance(address, tuple) and address else address


def _is_loopback(host: object) -> bool:
    if host is None:
        return True
    name = host.decode("utf-8", "replace") if isinstance(host, bytes | bytearray) else str(host)
    if name.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _refuse(event: str, what: object) -> None:
    if _State.log is not None:
        with _State.log.open("ab") as log:
            log.write(f"{event} {what!r}\n".encode())
    raise OutsideTrafficError(f"{event} {what!r}: tests stay on the loopback interface")
