"""``aioconnections check --cluster``: the checks on the workers of a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from attrs import define

from aioconnections.cli.bar import Watched, progress
from aioconnections.cli.check_options import PeopleFiles
from aioconnections.cli.cluster_options import ClusterOptions
from aioconnections.cli.exits import GOOD, INTERRUPTED, SOME_BAD, Ended
from aioconnections.cli.options import PairRows, option_given
from aioconnections.cli.progress import say
from aioconnections.cli.run_options import CheckingRun
from aioconnections.cli.server import ServerOptions
from aioconnections.cli.terminal import duration, per_second
from aioconnections.client import Timeouts
from aioconnections.client.caller import OnProgress
from aioconnections.cluster import ClusterProgress, ClusterResult, check_many
from aioconnections.cluster.settings import shared_of_environment
from aioconnections.errors import ConnectionsError, InvalidInputError
from aioconnections.outcomes import Tally
from aioconnections.session.telemetry import Progress
from aioconnections.shared.settings import RedisShared

__all__ = ["check_on_cluster"]

_OF_SERVER = (
    "profile",
    "url",
    "user",
    "token_paths",
    "ca_file",
    "client_cert",
    "client_key",
    "trust_env",
    "max_connections",
    "max_per_second",
    "attempt_timeout",
    "shared",
    "shared_namespace",
    "shared_fallback",
)
_OF_ROWS = ("output", "encoding", "id_type", "source_column", "target_column")


def check_on_cluster(
    pairs: Path | None,
    plan: Literal["head", "auto"],
    *,
    people: PeopleFiles,
    server: ServerOptions,
    run: CheckingRun,
    rows: PairRows,
    options: ClusterOptions,
) -> int:
    """Check the pairs in files on a cluster, and return the exit code.

    Args:
        pairs: a file or a pattern.
        plan: how to find out.
        people: files of people, which are refused.
        server: server and speed.
        run: time limits.
        rows: how rows are read.
        options: the cluster.

    Raises:
        ConnectionsError: see `check_many`; an option that has no meaning on a cluster is refused.
        Ended: the run was interrupted.
    """
    _refuse_others(people, server, run, rows)
    untyped = rows.untyped
    if pairs is None or rows.output is None:
        raise InvalidInputError("--cluster needs a file of pairs, or a quoted pattern, and --output with a folder")
    shared = _shared(server)
    watch = _Watch(server.max_per_second or None)
    try:
        with watch.shown():
            result = check_many(
                pairs,
                cluster=options.cluster or "",
                url=server.url,
                output=rows.output,
                auth=options.auth,
                shared=shared,
                oauth_paths=server.token_paths == "oauth",  # noqa: S105 # the kind of a path
                max_per_second=server.max_per_second or None,
                max_connections=server.max_connections,
                plan=plan,
                format=options.parts,
                rows_per_partition=options.rows_per_partition,
                id_type=None if untyped is None else untyped.kind,
                source_column=rows.source_column,
                target_column=rows.target_column,
                encoding=rows.encoding,
                verify=True if server.ca_file is None else str(server.ca_file),
                trust_env=server.trust_env,
                timeouts=Timeouts(
                    attempt=server.attempt_timeout,
                    item=max(60, 6 * server.attempt_timeout),
                    outage=None if run.max_outage == "none" else run.max_outage,
                ),
                on_progress=watch.note,
            )
    except KeyboardInterrupt:
        watch.say_missing()
        raise Ended(INTERRUPTED, resumable=True) from None
    except ConnectionsError:
        watch.say_missing()
        raise
    say(_summary(result, watch.elapsed))
    return GOOD if result.good else SOME_BAD


def _refuse_others(people: PeopleFiles, server: ServerOptions, run: CheckingRun, rows: PairRows) -> None:
    """Refuse options that have no meaning on a cluster.

    Raises:
        InvalidInputError: see above.
    """
    login = {
        "--user": (server.user, "AIOCONNECTIONS_USER"),
        "--client-cert": (server.client_cert, "AIOCONNECTIONS_CLIENT_CERT"),
        "--client-key": (server.client_key, "AIOCONNECTIONS_CLIENT_KEY"),
    }
    of_profile = [name for name in server.profile.by_option if server.profile.is_from_profile(name)]
    of_login = (
        name
        for name, (value, variable) in login.items()
        if value and str(value) != os.environ.get(variable) and name[2:].replace("-", "_") not in of_profile
    )
    given = (
        option_given(people)
        or option_given(run, but=("max_outage",))
        or option_given(rows, but=_OF_ROWS)
        or option_given(server, but=(*_OF_SERVER, *of_profile))
        or next(of_login, None)
    )
    if given in {"--password-file", "--token-file", *login}:
        raise InvalidInputError(f"{given} has no meaning with --cluster: workers read the login in their environment")
    if given is not None:
        raise InvalidInputError(f"{given} has no meaning with --cluster; omit it")
    if not server.url:
        raise InvalidInputError("the URL is missing; use --url or --profile, or set AIOCONNECTIONS_URL")


def _shared(server: ServerOptions) -> RedisShared | str | None:
    """What the workers share; one with a password they read from their own environment.

    Raises:
        InvalidInputError: an option is invalid, or differs from the environment.
    """
    shared = server.store()
    if shared is None or not shared.has_password:
        return shared
    namespace = os.environ.get("AIOCONNECTIONS_SHARED_NAMESPACE") or "aioconnections"
    if shared.fallback is not None or shared.namespace != namespace:
        raise InvalidInputError(
            "workers read the URL of Redis in their own environment, because it has a password: omit "
            "--shared-fallback, and set AIOCONNECTIONS_SHARED_NAMESPACE in place of --shared-namespace"
        )
    return f"{shared_of_environment.__module__}:{shared_of_environment.__name__}"


@define
class _Watch:
    """Shows the progress of a run on a cluster. The run reports it in another thread.

    Attributes:
        max_per_second: limit of the rate.
        latest: the latest report.
    """

    max_per_second: float | None
    latest: ClusterProgress | None = None
    _show: OnProgress | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return 0.0 if self.latest is None else self.latest.elapsed

    @contextmanager
    def shown(self) -> Generator[None]:
        """Show the progress during the block."""
        bar = progress(
            lambda: None if self.latest is None else self.latest.rows,
            doing="checking",
            unreadable=self._unreadable,
            watched=Watched(more=self._parts),
        )
        with bar as self._show:
            yield

    def note(self, report: ClusterProgress) -> None:
        """Show a report."""
        self.latest = report
        if self._show is not None:
            bad = report.failed + report.unreadable
            tally = Tally(read=report.finished, checked=report.finished - bad, failed=bad)
            self._show(
                Progress(tally=tally, elapsed=report.elapsed, rate=report.rate, max_per_second=self.max_per_second)
            )

    def say_missing(self) -> None:
        """Say how much is done, if the run has begun."""
        if self.latest is not None:
            say(f"aioconnections: {self.latest.parts:,} of {self.latest.of_parts:,} parts are done; {_AGAIN}")

    def _parts(self) -> list[str]:
        return [] if self.latest is None else [f"{self.latest.parts:,} of {self.latest.of_parts:,} parts"]

    def _unreadable(self) -> int:
        return 0 if self.latest is None else self.latest.unreadable


_AGAIN = "the same command does the others"


def _summary(result: ClusterResult, elapsed: float) -> str:
    """One line about all parts, and about what this run has done."""
    tally = result.tally
    text = f"{tally.checked:,} checked"
    if tally.checked:
        text += ": " + ", ".join(f"{count:,} {status or 'none'}" for status, count in tally.by_status.items() if count)
    others = {
        "rejected": tally.rejected,
        "failed": tally.failed,
        "unreadable": result.unreadable,
        "bytes replaced": result.replaced,
        "parts of an earlier run not counted": result.uncounted,
    }
    parts = [text, *(f"{count:,} {what}" for what, count in others.items() if count)]
    parts.append(f"{len(result.parts):,} part{'s' * (len(result.parts) != 1)} in {result.output}")
    rate = per_second(result.requests / max(elapsed, 1e-3))
    parts.append(f"{result.requests:,} requests in {duration(elapsed)} ({rate})")
    return "; ".join(parts)
