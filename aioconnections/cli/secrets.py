"""Passwords and tokens: read from the environment, a prompt or a file, never from an argument."""

from __future__ import annotations

from getpass import getpass
from pathlib import Path

from aioconnections.cli.progress import can_prompt, say
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError

__all__ = ["first_line", "password"]


_ADVICE = 'use --password-file or "aioconnections login", or set AIOCONNECTIONS_PASSWORD'


def password(user: str, *, advice: str = _ADVICE) -> str:
    """The password of a user, from a prompt.

    Args:
        user: login name.
        advice: what to do if there is no terminal to prompt on.

    Raises:
        InvalidInputError: it is missing.
    """
    found = ""
    if can_prompt():
        try:
            found = getpass(f"Password of {escaped(user)}: ")
        except KeyboardInterrupt:
            say()  # ends the line of the prompt
            raise
        except EOFError:  # Ctrl-D
            say()
    if not found:
        raise InvalidInputError(f"the password is missing; {advice}")
    return found


def first_line(path: Path) -> str:
    """The first line of a file.

    Raises:
        InvalidInputError: it is empty, or the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline().rstrip("\r\n")
        problem = f"the first line of {escaped(str(path))} is empty"
        if line:
            return line
    except OSError as error:
        problem = f"{escaped(str(path))}: {error.strerror}"
    except UnicodeError:
        problem = f"{escaped(str(path))} is not text in UTF-8"
    raise InvalidInputError(problem)
