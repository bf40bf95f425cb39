"""What the driver tells the workers, and what it returns to its caller. Neither holds a credential."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict

from attrs import asdict, field

from aioconnections._version import __version__
from aioconnections.auth.credentials import Auth
from aioconnections.client import Timeouts
from aioconnections.columns import IdType, Untyped
from aioconnections.errors import InvalidInputError
from aioconnections.files.sections import TextForm
from aioconnections.outcomes import Tally
from aioconnections.reprs import frozen
from aioconnections.shared.settings import RedisShared

__all__ = [
    "CheckOptions",
    "ClusterProgress",
    "ClusterResult",
    "PartFormat",
    "TaskSettings",
    "auth_function",
    "checked_shared",
    "chosen_columns",
    "function_of",
    "part_name",
    "shared_of_environment",
]

PartFormat: TypeAlias = Literal["csv", "parquet"]

_FUNCTION = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
_NO_CREDENTIAL = (
    "auth is never a credential, because everything that is passed here goes through the scheduler: set "
    "AIOCONNECTIONS_USER and AIOCONNECTIONS_PASSWORD, or AIOCONNECTIONS_TOKEN, in the environment of the workers, or "
    'pass auth="module:function" with the name of a function that returns the login on the worker'
)


@frozen(kw_only=True)
class TaskSettings:
    """What a worker needs to know to check a partition.

    Attributes:
        url: base URL of the server.
        output: absolute path of the folder of the parts.
        run: name of this run, which temporary files have in their names.
        auth: module and function that give the login on the worker; None for the login in its environment.
        oauth_paths: whether a token in the environment is for the paths for OAuth.
        shared: what limits the rate of all workers together, or the module and function that give it on the worker;
            None if each has its own part of the rate.
        max_per_second: limit of requests per second of one task; None for no limit.
        max_connections: limit of concurrent requests of one task.
        plan: how the pairs are checked.
        form: format of the parts.
        untyped: the columns whose names do not tell the kind of identity, if any.
        layout: the form of the first file. All parts have its columns, in its order, and if it is CSV, its dialect.
        width: number of digits in the names of parts.
        verify: what the certificate of the server is compared with.
        trust_env: whether proxies in the environment of the worker are used.
        timeouts: how long the client waits.
        version: version of the library of the driver.
    """

    url: str
    output: str
    run: str
    auth: str | None
    oauth_paths: bool
    shared: RedisShared | str | None
    max_per_second: float | None
    max_connections: int
    plan: Literal["head", "auto"]
    form: PartFormat
    untyped: Untyped | None
    layout: TextForm
    width: int
    verify: bool | str
    trust_env: bool
    timeouts: Timeouts
    version: str = __version__

    def part(self, number: int) -> Path:
        """The file of a partition that is done."""
        return Path(self.output) / part_name(number, self.width, self.form)

    def counts(self, number: int) -> Path:
        """The file with the counts of a partition that is done, until the manifest has them."""
        return Path(self.output) / f"counts-{number:0{self.width}}.json"

    def shown(self) -> dict[str, object]:
        """What a result depends on, for the manifest."""
        untyped = self.untyped and {"id_type": self.untyped.kind, **asdict(self.untyped)["columns"]}
        return {"url": self.url, "plan": self.plan, "format": self.form, "columns": untyped}


def part_name(number: int, width: int, form: PartFormat) -> str:
    """The name of the file of a partition."""
    return f"part-{number:0{width}}.{form}"


@frozen(kw_only=True)
class ClusterProgress:
    """The progress of a run on a cluster.

    Attributes:
        rows: number of rows of the partitions that this run has to do.
        finished: number of these rows that are finished.
        failed: number of finished rows that failed or were rejected.
        unreadable: number of finished rows that could not be read.
        parts: number of partitions that are done.
        of_parts: number of partitions.
        elapsed: seconds since the run began.
        rate: rows finished per second, over about the last ten seconds.
    """

    rows: int
    finished: int
    failed: int
    unreadable: int
    parts: int
    of_parts: int
    elapsed: float
    rate: float


class CheckOptions(TypedDict, total=False):
    """Options of `check_many`, which describes them."""

    auth: str | None
    oauth_paths: bool
    shared: RedisShared | str | None
    max_per_second: float | None
    max_connections: int
    plan: Literal["head", "auto"]
    format: PartFormat
    rows_per_partition: int
    id_type: IdType | None
    source_column: str | None
    target_column: str | None
    encoding: str | None
    verify: bool | str
    trust_env: bool
    timeouts: Timeouts
    wait_for_workers: float
    on_progress: Callable[[ClusterProgress], object] | None


@frozen(kw_only=True)
class ClusterResult:
    """The result of a run on a cluster.

    Attributes:
        output: the folder of the parts and of the manifest.
        parts: the files of the partitions that are done, in the order of the rows.
        missing: number of partitions that are not done; 0 unless the run was interrupted.
        rows: number of rows of all partitions.
        tally: counts of the outcomes in the parts whose counts are known.
        unreadable: number of rows in these parts that could not be read; they are in no count of `tally`.
        replaced: number of bytes in them that were not text.
        uncounted: number of parts of an earlier run whose counts are not known, because its driver was killed.
        requests: number of requests that this run has sent.
    """

    output: Path
    parts: tuple[Path, ...] = field(repr=lambda parts: f"{len(parts)} files")
    missing: int
    rows: int
    tally: Tally
    unreadable: int
    replaced: int
    uncounted: int
    requests: int

    @property
    def good(self) -> bool:
        """Whether every row was checked."""
        return not (self.missing or self.unreadable or self.uncounted) and self.tally.good


def auth_function(auth: object) -> str | None:
    """The checked name of the function that gives the login on the worker; None for the login in its environment.

    Raises:
        InvalidInputError: it is a credential, or could be one, because there is no such function.
    """
    if auth is None:
        return None
    if not isinstance(auth, str) or isinstance(auth, Auth) or not _FUNCTION.fullmatch(auth):
        raise InvalidInputError(_NO_CREDENTIAL)
    if not _is_function(auth):  # it may be a credential, so the message does not have it
        raise InvalidInputError(f"there is no function of the name that auth gives; {_NO_CREDENTIAL}")
    return auth


def shared_of_environment() -> RedisShared:
    """The Redis server that the environment of a worker names.

    Raises:
        InvalidInputError: it names none.
    """
    url = os.environ.get("AIOCONNECTIONS_SHARED")
    if not url:
        raise InvalidInputError("set AIOCONNECTIONS_SHARED in the environment of each worker")
    return RedisShared(url, os.environ.get("AIOCONNECTIONS_SHARED_NAMESPACE") or "aioconnections")


def checked_shared(shared: object) -> RedisShared | str | None:
    """What limits the rate of all workers together, if it can be passed through the scheduler.

    Raises:
        InvalidInputError: it has a secret, or is a name, but not that of a function.
    """
    if isinstance(shared, str):
        if not _FUNCTION.fullmatch(shared) or not _is_function(shared):
            raise InvalidInputError('shared must be a RedisShared, or "module:function" with the name of a function')
        return shared
    if shared is None:
        return None
    if not isinstance(shared, RedisShared):
        raise InvalidInputError('shared must be a RedisShared, or "module:function" with the name of a function')
    if shared.secret is not None:
        raise InvalidInputError(
            "the secret of shared would go through the scheduler: set AIOCONNECTIONS_SHARED_SECRET in the environment "
            "of the workers instead"
        )
    if shared.has_password:
        raise InvalidInputError(
            "the URL of shared has a password, which would go through the scheduler: pass "
            'shared="module:function" with the name of a function that returns the RedisShared on the worker'
        )
    return shared


def function_of(name: str) -> Callable[[], Any]:
    """The function of the name ``module:function``.

    Raises:
        InvalidInputError: there is none on this machine.
    """
    module, _, attribute = name.partition(":")
    try:
        found: Callable[[], Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        raise InvalidInputError("a worker does not have the function that auth or shared names") from None
    return found


def _is_function(name: str) -> bool:
    try:
        return callable(function_of(name))
    except InvalidInputError:
        return False


def chosen_columns(id_type: IdType | None, source: str | None, target: str | None) -> Untyped | None:
    """The columns whose names do not tell the kind of identity; None if there are none.

    Raises:
        InvalidInputError: a column is chosen, but not the kind of the identities in it.
    """
    if id_type is None:
        if source is not None or target is not None:
            raise InvalidInputError("source_column and target_column need id_type, which tells what is in the columns")
        return None
    if id_type not in {"email", "userid", "key"}:
        raise InvalidInputError(f'id_type must be "email", "userid" or "key", got {id_type!r}')
    chosen = {role: name.strip() for role, name in (("source", source), ("target", target)) if name is not None}
    if "" in chosen.values() or len({*chosen.values()}) < len(chosen):
        raise InvalidInputError("source_column and target_column must be the names of two columns")
    return Untyped(id_type, chosen)
