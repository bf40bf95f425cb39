"""Installs the loopback guard in child processes: Python imports this at its start from the tests' PYTHONPATH."""

import os
from pathlib import Path

import loopback_guard

if log := os.environ.get(loopback_guard.LOG_VARIABLE):
    loopback_guard.install(Path(log))
