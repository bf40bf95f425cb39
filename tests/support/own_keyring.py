"""Keyrings of the tests, so that the one of the machine is neither needed nor changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

__all__ = ["FileKeyring", "ForgetfulKeyring", "LockedKeyring", "MemoryKeyring"]


class MemoryKeyring(KeyringBackend):
    """Keeps passwords in `stored`, by service and user."""

    priority: Any = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # keyring types only what its callers use
        self.stored: dict[str, str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{username} @ {service}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._keep({**self._all(), f"{username} @ {service}": password})

    def delete_password(self, service: str, username: str) -> None:
        rest = self._all()
        if rest.pop(f"{username} @ {service}", None) is None:
            raise PasswordDeleteError("not found")
        self._keep(rest)

    def _all(self) -> dict[str, str]:
        return self.stored

    def _keep(self, stored: dict[str, str]) -> None:
        self.stored = stored


class FileKeyring(MemoryKeyring):
    """Keeps them in a file, for commands in a process of their own."""

    def _all(self) -> dict[str, str]:
        path = Path(os.environ["OWN_KEYRING"])
        return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}

    def _keep(self, stored: dict[str, str]) -> None:
        Path(os.environ["OWN_KEYRING"]).write_text(json.dumps(stored), "utf-8")


class LockedKeyring(MemoryKeyring):
    """Refuses everything, as after a prompt that the user has dismissed."""

    def _all(self) -> dict[str, str]:
        raise KeyringLocked("Failed to unlock the collection!\n(dismissed)")


class ForgetfulKeyring(MemoryKeyring):
    """Accepts passwords without keeping them."""

    def _keep(self, stored: dict[str, str]) -> None:
        pass
