"""The configuration file: named profiles with settings of the server, in TOML.

::

    default_profile = "prod"

    [profiles.prod]
    url = "https://connections.example.com"
    user = "ajones"
    ca_file = "company.pem"  # relative to the folder of this file

The file holds no secret. A key that looks like one is refused in every profile; the other keys and all values are
checked in the profile that is used. No message quotes a value, because a misplaced one may be a secret.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias, cast

from attrs import frozen

from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError

__all__ = ["SETTINGS", "ConfigFile", "config_path", "read_config"]

_VARIABLE = "AIOCONNECTIONS_CONFIG"
_DEFAULT = "default_profile"
_PROFILES = "profiles"
_LARGEST = 1 << 20  # bytes
_GREATEST = 1 << 63  # TOML promises no more; Python refuses to print numbers of thousands of digits

Kind: TypeAlias = Literal["text", "path", "switch", "whole number", "number", "log level", "kind of path"]

SETTINGS: dict[str, Kind] = {
    "url": "text",
    "user": "text",
    "password_file": "path",
    "token_file": "path",
    "token_paths": "kind of path",
    "ca_file": "path",
    "client_cert": "path",
    "client_key": "path",
    "trust_env": "switch",
    "max_connections": "whole number",
    "max_per_second": "number",
    "shared": "text",
    "shared_namespace": "text",
    "shared_fallback": "whole number",
    "attempt_timeout": "number",
    "log_level": "log level",
}
"""What a profile may set: the options of the group "Server", with underscores instead of hyphens."""

_EXPECTED: dict[Kind, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "text in quotes"),
    "path": ((str,), "a path in quotes"),
    "switch": ((bool,), "true or false"),
    "whole number": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "log level": ((str,), '"debug", "info" or "warning"'),
    "kind of path": ((str,), '"oauth" or "ordinary"'),
}
_SECRET = r"pass|pwd|^pw$|secret|token|(api|access|private)_?key|credential|^auth|bearer|cookie|jwt|ltpa"  # noqa: S105 # a pattern
_KEYRING = 'use "aioconnections login", which stores a password in the keyring'
_OTHER_PLACES = {
    "shared": "set AIOCONNECTIONS_SHARED",
    "shared_secret": "set AIOCONNECTIONS_SHARED_SECRET",
    "client_key": "name the file of the key",
    "client_key_password": "set AIOCONNECTIONS_CLIENT_KEY_PASSWORD",
    "token": "use token_file, or set AIOCONNECTIONS_TOKEN",
}
_PRIVATE_KEY = "PRIVATE KEY-----"  # ends the first line of a key in PEM format


@frozen
class ConfigFile:
    """What a configuration file contains.

    Attributes:
        path: the file.
        default: name of the profile that is used without ``--profile``; None without one.
        profiles: the settings of each profile, not checked yet.
    """

    path: Path
    default: str | None
    profiles: Mapping[str, Mapping[str, object]]

    def settings(self, name: str) -> dict[str, str]:
        """The checked settings of a profile, as they would be typed.

        Raises:
            InvalidInputError: the profile does not exist, or a setting is unknown or invalid.
        """
        if name not in self.profiles:
            raise InvalidInputError(f"{_file(self.path)} has no profile {_quoted(name)}; {self.known}")
        where = f"{_file(self.path)}: profile {_quoted(name)}"
        found: dict[str, str] = {}
        for key, value in self.profiles[name].items():
            setting = key.replace("-", "_")
            if setting not in SETTINGS:
                raise InvalidInputError(f"{where}: there is no setting {_quoted(key)}; {_advice(setting, SETTINGS)}")
            if setting in found:
                raise InvalidInputError(f"{where}: {setting} is set twice; remove one of the two")
            found[setting] = self._typed(f"{where}: {setting}", SETTINGS[setting], value)
        _refuse_incomplete(where, found)
        return found

    @property
    def known(self) -> str:
        """The names of the profiles, for a message."""
        return f"it has {', '.join(map(_quoted, self.profiles))}" if self.profiles else "it has no profiles"

    def _typed(self, where: str, kind: Kind, value: object) -> str:
        """A value as it would be typed."""
        types, expected = _EXPECTED[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind != "switch"):
            raise InvalidInputError(f"{where} must be {expected}")
        if isinstance(value, str) and (not value or "\0" in value):
            raise InvalidInputError(f"{where} is {'empty; remove it' if not value else 'not text'}")
        if kind in {"log level", "kind of path"} and f'"{value}"' not in expected:
            raise InvalidInputError(f"{where} must be {expected}")  # the message of Cyclopts would quote the value
        if isinstance(value, int) and abs(value) > _GREATEST:
            raise InvalidInputError(f"{where} is too large a number")
        if kind == "switch":
            return "true" if value else "false"
        if kind != "path":
            return str(value)
        try:
            return str(Path(os.path.realpath(self.path)).parent / Path(str(value)).expanduser())
        except RuntimeError:  # ~name of a user who does not exist
            raise InvalidInputError(f"{where} begins with the home folder of an unknown user") from None


def config_path() -> Path:
    """The file: that of ``AIOCONNECTIONS_CONFIG``, or else ``config.toml`` in the user's folder for configuration."""
    named = os.environ.get(_VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_config_path

    return user_config_path("aioconnections", appauthor=False) / "config.toml"


def read_config() -> ConfigFile | None:
    """The configuration file; None if there is none.

    Raises:
        InvalidInputError: it cannot be read, is not valid TOML, or holds a secret.
    """
    path = config_path()
    try:
        content = _content(path)
    except OSError as error:
        absent = error.errno in {errno.ENOENT, errno.ENOTDIR} and not path.is_symlink()
        if absent and not os.environ.get(_VARIABLE):
            return None
        advice = "make it readable for you, or " if isinstance(error, PermissionError) else ""
        advice += f"choose another configuration file in {_VARIABLE}, or {os.devnull} for none"
        raise InvalidInputError(f"{_file(path)}: {error.strerror}; {advice}") from None
    return _parsed(path, content)


def _content(path: Path) -> bytes:
    """The bytes of a file; one that could block or be endless, such as a pipe, is not opened."""
    if str(path) == os.devnull:
        return b""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # the error of a folder is raised below
        raise InvalidInputError(f"{_file(path)} is not a regular file; choose another one in {_VARIABLE}")
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise InvalidInputError(f"{_file(path)} is larger than {_LARGEST >> 20} MiB; choose another one in {_VARIABLE}")
    return content


def _parsed(path: Path, content: bytes) -> ConfigFile:
    import tomllib  # not needed without a file

    try:
        tables = cast("dict[str, object]", tomllib.loads(content.decode("utf-8-sig")))
        secrets = [*_secrets(tables, ())]
    except UnicodeDecodeError:
        raise InvalidInputError(f"{_file(path)} is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:(line \d+, column \d+)|end of document)\)", str(error), re.DOTALL)
        place = "" if found is None else f"{found[2] or 'at its end'}: "
        raise InvalidInputError(f"{_file(path)}: {place}{error.args[0] if found is None else found[1]}") from None
    except RecursionError:
        raise InvalidInputError(f"{_file(path)} is nested too deeply") from None
    except ValueError:  # of int()
        raise InvalidInputError(f"{_file(path)}: a number has too many digits") from None
    for keys in secrets:
        advice = _OTHER_PLACES.get(keys[-1].replace("-", "_").lower(), _KEYRING)
        raise InvalidInputError(
            f"{_file(path)}: {_quoted('.'.join(keys))} looks like a secret, which this file must not hold; remove it, "
            f"and {advice}"
        )
    return _checked(path, tables)


def _checked(path: Path, tables: dict[str, object]) -> ConfigFile:
    """The file with its two keys checked."""
    for key in tables:
        if key not in {_DEFAULT, _PROFILES}:
            advice = f"settings belong into a table such as [{_PROFILES}.prod]"
            raise InvalidInputError(f"{_file(path)}: there is no key {_quoted(key)}; {advice}")
    default, profiles = tables.get(_DEFAULT), tables.get(_PROFILES, {})
    if default is not None and (not isinstance(default, str) or not default):
        raise InvalidInputError(f"{_file(path)}: {_DEFAULT} must be the name of a profile in quotes")
    if not isinstance(profiles, dict) or not all(
        isinstance(it, dict) for it in cast("dict[str, object]", profiles).values()
    ):
        raise InvalidInputError(f"{_file(path)}: a profile must be a table, such as [{_PROFILES}.prod]")
    return ConfigFile(path, default, cast("dict[str, dict[str, object]]", profiles))


def _secrets(tables: Mapping[str, object], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The keys that look like secrets, or whose values hold one."""
    for key, value in tables.items():
        name, keys = key.replace("-", "_").lower(), (*above, key)
        is_named_freely = above in {(), (_PROFILES,)} and _is_table(value)  # as a profile is
        if not is_named_freely and name not in SETTINGS and re.search(_SECRET, name):
            yield keys
        yield from _secrets_in(name, value, keys)


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _secrets_in(name: str, value: object, keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The keys of a value that is a secret, or of those in it."""
    if isinstance(value, str) and (_PRIVATE_KEY in value or _has_password(name, value)):
        yield keys
    elif isinstance(value, dict):
        yield from _secrets(cast("dict[str, object]", value), keys)
    elif isinstance(value, list):
        for part in cast("list[object]", value):
            yield from _secrets_in(name, part, keys)


def _has_password(name: str, url: str) -> bool:
    """Whether the value of a setting is a URL that holds a password."""
    if name != "shared":
        return name == "url" and re.search(r"//[^/?#]*:[^/?#]*@", url) is not None
    from aioconnections.shared.settings import RedisShared

    try:
        return RedisShared(url).has_password
    except InvalidInputError:
        return "@" in url


def _refuse_incomplete(where: str, found: Mapping[str, str]) -> None:
    """A file with a secret belongs to a server, and a password also to a user, so the profile must name these."""
    needed = {"password_file": ("url", "user"), "token_file": ("url",)}
    for setting, others in needed.items():
        missing = [name for name in others if name not in found]
        if setting in found and missing:
            raise InvalidInputError(f"{where}: {setting} needs {' and '.join(missing)} in the same profile")
    if "password_file" in found and "token_file" in found:
        raise InvalidInputError(f"{where}: password_file and token_file cannot be used together; remove one of them")


def _advice(key: str, known: Mapping[str, object]) -> str:
    from difflib import get_close_matches  # for a message only

    close = get_close_matches(key.lower(), known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"


def _file(path: Path) -> str:
    return escaped(str(path))


def _quoted(text: str) -> str:
    return f'"{escaped(text)}"'
