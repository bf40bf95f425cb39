"""What telemetry costs a check: the CPU of a client without it, with spans of runs and metrics, and with all spans.

``python benchmarks/telemetry.py [--quick] [--rounds N] [--pairs N]``

The three take turns, each in a process of its own with the SDK of OpenTelemetry, whose exporters discard everything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from _servers import pinned, served
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from aioconnections import Client, OpenTelemetry, Userid

_WAYS = ("without", "runs and metrics", "requests too")


class Discarding(SpanExporter):
    """Exports nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Discard the spans."""
        del spans
        return SpanExportResult.SUCCESS


def telemetry_of(way: str) -> OpenTelemetry | None:
    """The telemetry of one way to run."""
    if way == "without":
        return None
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(Discarding()))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return OpenTelemetry(tracer_provider=tracers, meter_provider=meters, trace_requests=way == "requests too")


async def check(url: str, way: str, count: int) -> dict[str, float]:
    """Check `count` pairs; CPU in µs per pair, and the growth of the memory in MiB from the first tenth on."""
    pairs = ((Userid(f"a{n}"), Userid(f"b{n}")) for n in range(count + count // 10))
    telemetry = telemetry_of(way)
    async with Client(url, auth=("u", "secret"), max_per_second=None, telemetry=telemetry) as client:
        await client.check_many([next(pairs) for _ in range(count // 10)]).drain()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = time.process_time()
        tally = await client.check_many(pairs).drain()
        cpu = time.process_time() - before
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    if tally.checked != count:
        raise RuntimeError(f"{count - tally.checked} of {count} pairs were not checked")
    return {"cpu": 1e6 * cpu / count, "memory": memory / 1024}


def main() -> None:
    """Measure."""
    if len(sys.argv) > 1 and sys.argv[1] == "--check":
        pinned(1)
        print(json.dumps(asyncio.run(check(sys.argv[2], sys.argv[3], int(sys.argv[4])))))
        return
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a smoke test; the figures mean nothing")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--pairs", type=int, default=20_000)
    chosen = options.parse_args()
    rounds, count = (1, 200) if chosen.quick else (chosen.rounds, chosen.pairs)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in _WAYS}
    with served(responses="real") as server:
        for _ in range(rounds):
            for way, figures in found.items():
                command = [sys.executable, __file__, "--check", server.url, way, str(count)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 # ourselves
                figures.append(json.loads(done.stdout))
    print(f"{count:,} pairs, µs CPU per pair, and MiB of growth")
    for way, figures in found.items():
        ratios = [figure["cpu"] / base["cpu"] for figure, base in zip(figures, found["without"], strict=True)]
        cpu, memory = (statistics.median(figure[name] for figure in figures) for name in ("cpu", "memory"))
        print(f"  {way:18}{cpu:8.1f}   x {statistics.median(ratios):.2f} {memory:8.1f}")


if __name__ == "__main__":
    main()
