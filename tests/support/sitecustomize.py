"""Read by Python at its start, where the tests put this folder on PYTHONPATH: child processes get the guard too."""

import os
from pathlib import Path

import loopback_guard

if log := os.environ.get(loopback_guard.LOG_VARIABLE):
    loopback_guard.install(Path(log))
