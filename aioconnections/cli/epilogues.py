"""What ends the help of a command: examples, and the exit codes that it can have."""

from __future__ import annotations

__all__ = [
    "BULK",
    "COMPLETION",
    "CONFIG",
    "DEMO",
    "DOCTOR",
    "LISTING",
    "LOGIN",
    "LOGOUT",
    "LOOKUP",
    "MERGE",
    "REPORT",
    "SERVE",
    "epilogue",
]

_SERVER = "3 login refused; 5 server unavailable; "
_PROFILES = ", or a server that is not Profiles; "
_INTERRUPTED = "130 interrupted."
_BAD_ROWS = (
    "0 all good; 1 some rows unreadable, rejected, failed{}, or unprocessed, as after --run-timeout, or the result "
    "could not be written; "
)

BULK = (
    f"{_BAD_ROWS.format(', in doubt')}2 usage error, a journal that cannot be used{_PROFILES}{_SERVER}"
    f"75 stopped, and the same command resumes from its journal; {_INTERRUPTED}"
)
LOOKUP = f"{_BAD_ROWS.format('')}2 usage error{_PROFILES}{_SERVER}{_INTERRUPTED}"
LISTING = (
    "0 all listed; 1 the server refused the request, or the result could not be written; 2 usage error"
    f"{_PROFILES}{_SERVER}{_INTERRUPTED}"
)
REPORT = (
    "0 all good; 1 some items not done or in doubt, or the result could not be written; 2 usage error, or a journal "
    f"that cannot be used; {_INTERRUPTED}"
)
MERGE = f"0 each row is there once and has a status; 1 and 2 as above; {_INTERRUPTED}"
SERVE = "0 stopped by Ctrl-C; 1 the URL could not be written; 2 usage error, or a port that cannot be used."
GUIDE = "0 shown; 1 the guide could not be written; 2 usage error, or no guide of this name."
DEMO = f"0 all checked; 1 some pairs not checked; 2 the server did not start; {_INTERRUPTED}"
DOCTOR = (
    "0 no step failed; 1 a step failed for another reason than the following; 2 usage error, or the URL, TLS, a "
    f"certificate or the proxy must be changed; {_SERVER}{_INTERRUPTED}"
)
LOGIN = (
    f"0 stored; 1 the server refused the request; 2 usage error, or no usable keyring{_PROFILES}{_SERVER}{_INTERRUPTED}"
)
LOGOUT = "0 done, also if no password was stored; 2 usage error, or no usable keyring."
CONFIG = "0 shown; 1 the settings could not be written; 2 usage error, or a configuration file that cannot be used."
COMPLETION = "0 installed; 1 a file could not be written; 2 usage error."


def epilogue(codes: str, *examples: str) -> str:
    """The end of the help of a command.

    Args:
        codes: the exit codes.
        examples: command lines, without the name of the program.
    """
    title = "Examples:" if len(examples) > 1 else "Example:"
    lines = "\n".join(f"  aioconnections {example}" for example in examples)
    return f"{title}\n\n{lines}\n\nExit codes: {codes}"
