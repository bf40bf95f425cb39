"""Settings of every test: only loopback traffic, asyncio and trio, and reproducible random data."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import cast

import loopback_guard
import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

# The machine may be busy with other work, so neither deadlines nor slow data fail a test.
settings.register_profile(
    "ci", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("full", settings.get_profile("ci"), max_examples=2_000)
settings.load_profile("ci")


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop of a test marked `anyio`, which runs once on each."""
    return cast("str", request.param)


def pytest_configure(config: pytest.Config) -> None:
    folder = tempfile.TemporaryDirectory(prefix="loopback-guard-")
    config.add_cleanup(folder.cleanup)
    # Neither profiles nor passwords of the developer.
    os.environ["XDG_CONFIG_HOME"] = folder.name
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    loopback_guard.install(Path(folder.name) / "attempts.log")
    loopback_guard.watch_children()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # ignored because a script started us in the background; programs that the tests start must accept it
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    return (yield from _failing_on_outside_traffic())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    return (yield from _failing_on_outside_traffic())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    return (yield from _failing_on_outside_traffic())


def _failing_on_outside_traffic() -> Generator[None, object, object]:
    try:
        return (yield)
    finally:
        if attempts := loopback_guard.new_attempts():
            pytest.fail("tried to leave the loopback interface: " + "; ".join(attempts), pytrace=False)
