"""Reports the progress of a run to a hook and to the log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from aioconnections.clock import Timer
from aioconnections.errors import ConnectionsError
from aioconnections.outcomes import Tally
from aioconnections.session.call_context import RunScope
from aioconnections.session.runtime import Runtime
from aioconnections.session.telemetry import LOG, Progress

__all__ = ["Reporter"]

_INTERVAL = 0.5  # seconds
_SAMPLES = 20  # intervals over which the rate is computed


class Reporter:
    """Reports the progress of a run twice a second, by a timer.

    Args:
        run: the run.
        runtime: shared by its requests.
        on_progress: the hook; None for none.
    """

    def __init__(self, run: RunScope, runtime: Runtime, on_progress: Callable[[Progress], object] | None) -> None:
        self._run = run
        self._runtime = runtime
        self._on_progress = on_progress
        self._tally: Callable[[], Tally] = Tally
        self._on_error: Callable[[Exception], object] = lambda _: None
        self._began = 0.0
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        self._timer: Timer | None = None

    def start(self, tally: Callable[[], Tally], on_error: Callable[[Exception], object]) -> None:
        """Begin to report. `tally` returns the current counts; `on_error` is called with an exception of the hook."""
        self._tally = tally
        self._on_error = on_error
        self._began = self._runtime.clock.now()
        LOG.info("run %s begins", self._run.id)
        observer = self._runtime.telemetry.observer
        if observer is not None:
            self._run.observed = observer.begin_run(self._run.verb, self._run.id, tally)
        if self._on_progress is not None:
            self._tick()

    def current(self) -> AbstractContextManager[None]:
        """A block whose tasks belong to the run, for telemetry."""
        return nullcontext() if self._run.observed is None else self._run.observed.current()

    def end(self, stopped: ConnectionsError | None, error: BaseException | None) -> None:
        """Report the end of the run. `error` is what its block raises."""
        tally = self._tally()
        counts = ", ".join(f"{count} {name}" for name, count in tally.as_dict().items() if count)
        why = "" if stopped is None else f", stopped by {type(stopped).__name__}"
        LOG.info("run %s ended: %s%s", self._run.id, counts or "nothing read", why)
        if self._run.observed is not None:
            self._run.observed.end(stopped or error, tally=tally, retries=self._run.retries)
        if self._timer is not None:
            self._timer.cancel()
            self._report(done=True)

    def _tick(self) -> None:
        self._timer = self._runtime.clock.call_at(self._runtime.clock.now() + _INTERVAL, self._tick)
        self._report(done=False)

    def _report(self, *, done: bool) -> None:
        assert self._on_progress is not None  # noqa: S101 # else there would be no timer
        runtime, tally, now = self._runtime, self._tally(), self._runtime.clock.now()
        finished = tally.read - tally.in_flight
        self._samples.append((now, finished))
        since, before = self._samples[0] if len(self._samples) > 1 else (self._began, 0)
        progress = Progress(
            tally=tally,
            elapsed=now - self._began,
            rate=(finished - before) / (now - since) if now > since else 0.0,
            max_per_second=runtime.limiter.max_per_second,
            waiting_for_server=runtime.is_waiting,
            done=done,
        )
        try:
            self._on_progress(progress)
        except Exception as error:  # noqa: BLE001 # raised by the caller's own code; `on_error` passes it to the caller
            self._on_error(error)
