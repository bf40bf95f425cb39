"""``aioconnections --install-completion``: completion of commands and options by the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from aioconnections.cli.exits import GOOD
from aioconnections.errors import UsageError

__all__ = ["install_completion"]


def install_completion(
    *,
    shell: Literal["bash", "fish", "powershell", "zsh"] | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    """Install completion of commands and options for your shell.

    Without --output, the script is written into a folder that the shell reads, and a line that loads it is added to the
    startup file of bash, zsh or PowerShell, unless it is there.

    Args:
        shell: The shell; by default the one that runs the command.
        output: File for the script; startup files are then left as they are.
    """
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    from aioconnections.cli import app
    from aioconnections.cli.progress import say

    try:
        shell = shell or detect_shell()
        path = app.install_completion(shell=shell, output=output, add_to_startup=output is None).absolute()
    except ShellDetectionError:
        raise UsageError("the shell cannot be recognized; use --shell") from None
    except UnicodeError:
        raise UsageError("the startup file of the shell is not text in UTF-8; use --output") from None
    if output is not None:
        effect = "Load it in the startup file of the shell."
    elif shell == "zsh" and _lacks_compinit():
        effect = "Add this line to ~/.zshrc, then it takes effect in a new shell: autoload -Uz compinit && compinit"
    else:
        effect = "It takes effect in a new shell."
    say(f"The completion is in {path}. {effect}")
    return GOOD


def _lacks_compinit() -> bool:
    """Whether zsh does not start its completion as far as we see; Oh My Zsh does so by itself."""
    startup = (Path.home() / ".zshrc").read_bytes()  # just written
    return b"compinit" not in startup and b"oh-my-zsh" not in startup
