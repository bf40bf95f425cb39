"""The command line: one module per family of commands. Results go to stdout, everything else to stderr.

Modules that only a running command needs, such as asyncio and the client, are imported when it runs, so that help and
usage errors appear without delay.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError

from aioconnections._version import __version__
from aioconnections.cli import epilogues
from aioconnections.cli.exits import GOOD, INTERRUPTED, SOME_BAD, USAGE, Ended, in_words, of_error
from aioconnections.cli.help import HelpFormatter, error_panel
from aioconnections.cli.interrupts import end_with, ignore_signals, take_over
from aioconnections.cli.progress import give_up, say
from aioconnections.cli.sources import apply_profile
from aioconnections.errors import BadRequestError, ConnectionsError

__all__ = ["app", "main", "run"]

app: App = App(
    "aioconnections",
    help="Bulk operations on IBM / HCL Connections.",
    version=__version__,
    help_epilogue=epilogues.epilogue(
        "0 all good; each command says in its help which others it has.",
        "demo",
        "check pairs.csv --url https://social.example.com --user ajones",
        "check --help",
    ),
    help_format="plaintext",
    help_formatter=HelpFormatter(),
    error_formatter=error_panel,
    result_action="return_value",
    config=apply_profile,
    suppress_keyboard_interrupt=False,
)
_UNKNOWN = "CLFRN1172E"  # recorded: the code for an unknown person, with a message that says nothing about it
# The module of each command, its arguments, and the end of its help. Only the command that runs is imported. Its usage
# line is given here, because deriving it takes Cyclopts a tenth of the time of printing the help.
_COMMANDS = {
    "check:check": (
        "[PAIRS]",
        epilogues.BULK,
        "check pairs.csv --profile prod --output results.csv",
        "check pairs.csv --journal checks.sqlite --output results.csv",
        "check --group team.csv --plan auto --output pairs.csv",
    ),
    "colleagues:invite": (
        "[PEOPLE]",
        epilogues.BULK,
        'invite people.csv --message "Shall we connect?" --dry-run',
        "invite people.csv --journal invites.sqlite --output results.csv",
    ),
    "colleagues:accept": ("[CONNECTIONS]", epilogues.BULK, "accept pending.csv --output results.csv"),
    "colleagues:remove": ("[CONNECTIONS]", epilogues.BULK, "remove pending.csv --dry-run", "remove pending.csv --yes"),
    "colleagues:colleagues": (
        "[PEOPLE]",
        epilogues.BULK,
        "colleagues --userid ajones --status pending -o pending.csv",
        "colleagues people.csv --output connections.csv",
    ),
    "network:network": ("[PEOPLE]", epilogues.BULK, "network people.csv --output network.graphml"),
    "people:profile": ("[PEOPLE]", epilogues.LOOKUP, "profile people.csv --output profiles.csv"),
    "people:search": ("[TEXT]", epilogues.LISTING, 'search --name "a*" --city Munich --json'),
    "administration:connect": (
        "[PAIRS]",
        epilogues.BULK,
        "connect pairs.csv --journal connect.sqlite --output results.csv",
    ),
    "administration:disconnect": ("[PAIRS]", epilogues.BULK, "disconnect pairs.csv --dry-run"),
    "report:report": (
        "JOURNAL",
        epilogues.REPORT,
        "report invites.sqlite --output report.csv",
        "report invites.sqlite --html report.html",
    ),
    "merge:merge": ("[PARTS]", epilogues.MERGE, 'merge "part-*.csv" --output results.csv'),
    "guide:guide": ("[NAME]", epilogues.GUIDE, "guide", "guide getting-started"),
    "doctor:doctor": ("", epilogues.DOCTOR, "doctor --url https://connections.example.com --user ajones"),
    "configuration:config": ("", epilogues.CONFIG, "config", "config --profile prod --json"),
    "logins:login": ("", epilogues.LOGIN, "login --profile prod"),
    "logins:logout": ("", epilogues.LOGOUT, "logout --profile prod"),
    "serve:serve": ("", epilogues.SERVE, "serve --port 8080 --people 1000"),
    "demo:demo": ("", epilogues.DEMO, "demo"),
}
for _path, (_arguments, _codes, *_examples) in _COMMANDS.items():
    _name = _path.partition(":")[2]
    _usage = f"Usage: aioconnections {_name} [OPTIONS] {_arguments}".rstrip()
    _end = epilogues.epilogue(_codes, *_examples)
    app.command(f"aioconnections.cli.{_path}", name=_name, usage=_usage, help_epilogue=_end)
for _name in ("community", "invitations"):
    app.command(f"aioconnections.cli.communities:{_name}", name=_name)
app.command(
    "aioconnections.cli.completion:install_completion",
    name="--install-completion",
    usage="Usage: aioconnections --install-completion [OPTIONS]",
    help_epilogue=epilogues.epilogue(epilogues.COMPLETION, "--install-completion --shell bash"),
)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    restore = take_over()
    try:
        return _run(arguments)
    finally:
        restore()


def main(arguments: Sequence[str]) -> NoReturn:
    """Run one command and end the process with its exit code."""
    take_over()
    end_with(_run(arguments))


def _run(arguments: Sequence[str]) -> int:
    if os.environ.get("FORCE_COLOR") == "":
        del os.environ["FORCE_COLOR"]  # rich would print no colours, but an empty variable counts as a missing one
    if not arguments or arguments[0].startswith("-"):
        app.resolved_commands()  # the list of commands quotes the docstring of each
    try:
        return int(app(arguments, exit_on_error=False) or GOOD)
    except CycloptsError:  # Cyclopts has printed the message
        return USAGE
    except ConnectionsError as error:
        say(f"aioconnections: {error}")
        if isinstance(error, BadRequestError) and error.code == _UNKNOWN:
            say("aioconnections: the server responds so if it does not know a person; check the id or address")
        return of_error(error)
    except (Ended, KeyboardInterrupt) as end:
        return _ended(end if isinstance(end, Ended) else Ended(INTERRUPTED, resumable=False), arguments)
    except (OSError, SystemExit) as error:
        return _unwritten(error)


def _unwritten(error: OSError | SystemExit) -> int:
    """Report a failed write, or a broken pipe because of which rich has exited, and return the exit code."""
    if _came_from_usage_error(error):
        give_up("error")
        return USAGE
    code = GOOD  # a reader such as `head` has closed the pipe, which is not an error
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        say(f"aioconnections: {in_words(error)}")
        code = SOME_BAD
    give_up("output")
    return code


def _came_from_usage_error(error: BaseException | None) -> bool:
    """Whether an error was raised while a usage error was printed."""
    return error is not None and (isinstance(error, CycloptsError) or _came_from_usage_error(error.__context__))


def _ended(end: Ended, arguments: Sequence[str]) -> int:
    """Print how to resume, if that is possible, and return the exit code."""
    ignore_signals()
    if end.code == INTERRUPTED:
        say("aioconnections: interrupted")
    if (how := end.to_go_on(arguments)) is not None:
        say(f"aioconnections: {how}", wrap=not end.resumable)
    if end.unwritten:
        give_up("output")
    return end.code
