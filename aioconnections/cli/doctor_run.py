"""Runs an examination and prints its findings: as they are found, or as one JSON object at the end.

On a terminal, each finding is wrapped beside its status and name, or below them if there is little room, and steps that
were skipped for the same reason share one paragraph. Elsewhere each finding is one line.

JSON is ASCII, so that any stream can hold it and no terminal obeys a text of the server. In lines, the characters that
the encoding of the stream lacks are escaped.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from contextlib import closing
from importlib import import_module
from typing import TextIO

from aioconnections.cli.exits import GOOD, of_error
from aioconnections.cli.logs import logged
from aioconnections.cli.progress import needed, say
from aioconnections.cli.server import ServerOptions
from aioconnections.cli.terminal import escaped, width, wrapped
from aioconnections.client.server import constant_headers
from aioconnections.doctor.examination import Patient, examine
from aioconnections.doctor.findings import STEPS, Finding, FindingStatus

__all__ = ["exit_code", "run_doctor", "shown"]

_COLOURS: dict[FindingStatus, str] = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}
_STATUS_WIDTH = len("warning") + 2
_NAME_WIDTH = max(map(len, STEPS)) + 2
_LEAST_TEXT = 40  # columns of text below which the text begins on a line of its own
_INDENT = 2
_LONGEST = 1_000  # characters of a text; a server may have written a part of it


def run_doctor(server: ServerOptions, *, as_json: bool) -> int:
    """Examine a server, print the findings, and return the exit code.

    Args:
        server: server and login.
        as_json: whether to print one JSON object instead of lines.

    Raises:
        InvalidInputError: an option is invalid, or a secret is missing.
        OSError: the result cannot be written.
    """
    from aioconnections.auth.credentials import Bearer

    _ = import_module("aioconnections.doctor.certificates")  # if cryptography is missing, nothing is tried
    stream = needed("output", "the findings are written there")
    _escape_unencodable(stream)
    address = server.address()
    auth = server.login()
    patient = Patient(
        address=address,
        auth=auth,
        user=None if isinstance(auth, Bearer) else server.user,
        headers=constant_headers({}),
        verify=server.ca_file or True,
        client_cert=server.certificate_of_client(),
        trust_env=server.trust_env,
        seconds=server.attempt_timeout,
        max_connections=server.max_connections,
        max_per_second=server.max_per_second or None,
    )
    with logged(server.log_level):
        printer = _Printer(stream)
        examining = examine(patient, (lambda _: None) if as_json else printer.add)
        with closing(examining):  # see running._run
            findings = asyncio.run(examining)
        printer.close()
    code = exit_code(findings)
    if as_json:
        result = {"url": server.url, "exit_code": code, "checks": [finding.as_dict() for finding in findings]}
        print(json.dumps(result, indent=2), file=stream, flush=True)
    counts: Counter[str] = Counter(finding.status for finding in findings)
    words = {"ok": "ok", "warning": "warnings" if counts["warning"] > 1 else "warning", "failed": "failed"}
    say(
        ", ".join(
            f"{counts[status]} {word}" for status, word in [*words.items(), ("skipped", "skipped")] if counts[status]
        )
    )
    return code


def _escape_unencodable(stream: TextIO) -> None:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def exit_code(findings: list[Finding]) -> int:
    """The exit code for the first step that failed; 0 if none did."""
    return next((of_error(finding.error) for finding in findings if finding.error is not None), GOOD)


class _Printer:
    """Prints findings as they come."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._columns = width(stream)
        self._skipped: list[Finding] = []  # for one reason, on a terminal

    def add(self, finding: Finding) -> None:
        """Print a finding, or keep it until it is known which others were skipped for the same reason."""
        if self._columns is None:
            print(*shown(finding, None), file=self._stream, flush=True)
            return
        if self._skipped and finding.found != self._skipped[0].found:
            self.close()
        if finding.status == "skipped":
            self._skipped.append(finding)
        else:
            self._colour(finding.status, shown(finding, self._columns))

    def close(self) -> None:
        """Print what was kept."""
        kept, self._skipped = self._skipped, []
        if kept and self._columns is not None:
            names = ", ".join(finding.step for finding in kept)
            first, *others = _block(f"{names}: {_safe(kept[0].found)}", self._columns, _STATUS_WIDTH)
            self._colour("skipped", [f"{'skipped':<{_STATUS_WIDTH}}{first.lstrip()}", *others])

    def _colour(self, status: FindingStatus, lines: list[str]) -> None:
        from rich.console import Console
        from rich.text import Text

        console = Console(file=self._stream, highlight=False, soft_wrap=True)
        first, *others = lines
        text = Text(first)
        text.stylize(_COLOURS[status], 0, len(status))
        console.print(text)
        for line in others:
            console.print(Text(line))


def shown(finding: Finding, columns: int | None) -> list[str]:
    """The lines of a finding; one line if there is no terminal, whose width is `columns`."""
    text = f"{_safe(finding.tried)}: {_safe(finding.found)}"
    if finding.status == "skipped":
        text = _safe(finding.found)
    advice = f"-> {_safe(finding.advice)}" if finding.advice else ""
    head = f"{finding.status:<{_STATUS_WIDTH}}{finding.step:<{_NAME_WIDTH}}"
    if columns is None:
        return [f"{head}{text} {advice}".rstrip()]
    if columns - len(head) < _LEAST_TEXT:
        return [head.rstrip(), *_block(text, columns, _INDENT), *_block(advice, columns, _INDENT)]
    first, *others = _block(text, columns, len(head)) + _block(advice, columns, len(head))
    return [head + first.lstrip(), *others]


def _block(text: str, columns: int, indent: int) -> list[str]:
    """The lines of a paragraph, each after some spaces."""
    return [" " * indent + line for line in wrapped(text, columns - indent)] if text else []


def _safe(text: str) -> str:
    return escaped(" ".join(text[:_LONGEST].split()))
