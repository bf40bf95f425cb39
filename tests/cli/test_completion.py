"""Completion of commands and options by the shell."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioconnections.cli import app

Command = Callable[..., Any]

ASK = """
. {script}
COMP_WORDS=({words}) COMP_CWORD={at}
_aioconnections
echo "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ZSH", "ZSH_CUSTOM"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_every_command(command: Command, home: Path, shell: str) -> None:
    said = command("--install-completion", "--shell", shell, "--output", "completion")
    assert (said.code, said.out) == (0, "")
    assert said.err == f"The completion is in {home / 'completion'}. Load it in the startup file of the shell.\n"
    script = Path("completion").read_text("utf-8")
    names = [name for name in app.resolved_commands() if not name.startswith("-")]
    assert len(names) == 21
    assert [name for name in [*names, "--profile", "decline"] if name.lstrip("-") not in script] == []
    assert [path.name for path in home.iterdir()] == ["completion"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_and_options(command: Command, home: Path) -> None:
    assert command("--install-completion", "--shell", "bash").code == 0
    script = home / ".local/share/bash-completion/completions/aioconnections"
    assert str(script) in (home / ".bashrc").read_text("utf-8")
    assert command("--install-completion", "--shell", "bash").code == 0
    assert (home / ".bashrc").read_text("utf-8").count("# Load aioconnections") == 1

    def completed(*words: str) -> list[str]:
        asked = ASK.format(script=script, words=" ".join(f"'{word}'" for word in words), at=len(words) - 1)
        done = subprocess.run(["bash", "--norc", "-c", asked], capture_output=True, encoding="utf-8", check=True)  # noqa: S607 # found on the PATH
        return done.stdout.split()

    assert completed("aioconnections", "ch") == ["check"]
    assert completed("aioconnections", "lo") == ["login", "logout"]
    assert completed("aioconnections", "invitations", "re") == ["revoke"]
    assert completed("aioconnections", "check", "--prof") == ["--profile"]
    assert set(completed("aioconnections", "check", "--plan", "")) == {"auto", "head"}


@pytest.mark.parametrize("startup", ["", "autoload -Uz compinit\ncompinit -u\n", "source $ZSH/oh-my-zsh.sh\n"])
def test_zsh_needs_its_own_completion_to_be_started(command: Command, home: Path, startup: str) -> None:
    (home / ".zshrc").write_text(startup, "utf-8")
    said = command("--install-completion", "--shell", "zsh")
    assert said.code == 0
    assert said.err.endswith("autoload -Uz compinit && compinit\n") is not bool(startup)
    assert said.err.endswith("It takes effect in a new shell.\n") is bool(startup)
    assert (home / ".zshrc").read_text("utf-8").endswith(startup)


ASK_ZSH = """
zmodload zsh/zpty
zpty shell zsh -i
zpty -w shell "PS1='>'; print ready"
zpty -r shell found '*ready*ready*'
zpty -w -n shell $'aioconnections invitations re\t'
zpty -r shell found '*revoke*' && print completed
"""


@pytest.mark.full
@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_completes_commands(command: Command, home: Path) -> None:
    (home / ".zshrc").write_text("autoload -Uz compinit\ncompinit -u\n", "utf-8")
    assert command("--install-completion", "--shell", "zsh").code == 0
    done = subprocess.run(["zsh", "-f", "-c", ASK_ZSH], capture_output=True, encoding="utf-8", check=False, timeout=60)  # noqa: S607 # found on the PATH
    assert "completed" in done.stdout, done


@pytest.mark.full
@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_completes_commands_and_options(command: Command, home: Path) -> None:
    assert command("--install-completion", "--shell", "fish").code == 0

    def completed(line: str) -> list[str]:
        asked = ["fish", "-c", f"complete -C '{line}'"]
        done = subprocess.run(asked, capture_output=True, encoding="utf-8", check=True, cwd=home)
        return [each.partition("\t")[0] for each in done.stdout.splitlines()]

    assert completed("aioconnections ch") == ["check"]
    assert completed("aioconnections invitations re") == ["revoke"]
    assert completed("aioconnections check --ord") == ["--ordered"]


def test_a_shell_that_cannot_be_recognized(command: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cyclopts.completion.detect import ShellDetectionError

    def detect() -> str:
        raise ShellDetectionError

    monkeypatch.setattr("cyclopts.completion.detect.detect_shell", detect)
    said = command("--install-completion")
    assert (said.code, said.err) == (2, "aioconnections: the shell cannot be recognized; use --shell\n")
    assert [*home.iterdir()] == []


def test_a_file_that_cannot_be_written(command: Command, home: Path) -> None:
    said = command("--install-completion", "--shell", "bash", "--output", home)
    assert (said.code, said.err) == (1, f"aioconnections: {home}: Is a directory\n")
