"""The checks of doctor, as its JSON has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aioconnections.doctor.findings import STEPS
from aioconnections.reference import Directory

__all__ = ["DIRECTORY", "ME", "examined"]

DIRECTORY = Directory.generate(people=60, seed=7)
ME = DIRECTORY.people[0]


def examined(
    command: Callable[..., Any], url: str, *words: object, user: object = ME.email, code: int = 0
) -> dict[str, Any]:
    """The checks by name, as JSON has them."""
    said = command("doctor", "--url", url, *(["--user", user] if user else []), "--json", *words)
    result = json.loads(said.out)
    assert said.code == result["exit_code"] == code
    assert list(result) == ["url", "exit_code", "checks"]
    assert result["url"] == url
    assert [check["name"] for check in result["checks"]] == list(STEPS)
    for check in result["checks"]:
        assert list(check) == ["name", "status", "tried", "found", "advice", "details"]
        assert check["tried"]
        assert check["found"]
        assert check["advice"] or check["status"] not in {"failed", "warning"}
    return {check["name"]: check for check in result["checks"]}
