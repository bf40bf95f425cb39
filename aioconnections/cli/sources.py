"""Where the value of each option for the server comes from, and which secrets may go with it.

The value of an option is that of the argument, else of the profile that --profile names, else of the environment, else
of the default profile in the configuration file.

A secret is sent only to the server, and for the user, that are named in the same place as the secret. A password or
token in the environment is not used with a URL, or a password with a user, from a profile, unless the environment names
the same server and user. A file with a secret in a profile is used only with the server and the user of that profile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import define, evolve, field, frozen
from cyclopts import Token

from aioconnections.errors import InvalidInputError

if TYPE_CHECKING:
    from cyclopts import App, Argument, ArgumentCollection

    from aioconnections.cli.config_file import ConfigFile
    from aioconnections.protocol.messages import Origin

__all__ = ["ARGUMENTS_ALONE", "PASSWORD", "TOKEN", "OptionSources", "SourceName", "apply_profile", "profile_name"]

PASSWORD = "AIOCONNECTIONS_PASSWORD"  # noqa: S105 # the name of a variable
TOKEN = "AIOCONNECTIONS_TOKEN"  # noqa: S105 # the name of a variable
_URL = "AIOCONNECTIONS_URL"
_USER = "AIOCONNECTIONS_USER"
_SECRET_FILES = ("password_file", "token_file")
_CERTIFICATE = ("client_cert", "client_key")  # these belong together

SourceName: TypeAlias = Literal["argument", "profile", "environment"]


@frozen(kw_only=True)
class OptionSources:
    """Where the values of the options come from.

    Attributes:
        profile: name of the profile in use; None without one.
        is_default: whether it is the default profile, which the environment takes precedence over.
        profiles: names of all profiles.
        file: the configuration file; None if there is none.
        by_option: the source of each option that does not have its default value.
        withheld: why each of the secrets that are not used is not, by its variable or setting.
    """

    profile: str | None = None
    is_default: bool = False
    profiles: tuple[str, ...] = ()
    file: Path | None = None
    by_option: Mapping[str, SourceName] = field(factory=dict[str, SourceName])
    withheld: Mapping[str, str] = field(factory=dict[str, str])

    def is_from_profile(self, option: str) -> bool:
        """Whether the profile gives the value of an option."""
        return self.by_option.get(option) == "profile"

    @property
    def environment(self) -> dict[str, str]:
        """The password and the token in the environment that may be used."""
        found = {name: os.environ.get(name, "") for name in (TOKEN, PASSWORD)}
        return {name: value for name, value in found.items() if value and name not in self.withheld}


ARGUMENTS_ALONE: OptionSources = OptionSources()
"""Without a profile and without an environment to compare."""


def profile_name(kind: object, tokens: Sequence[Token]) -> OptionSources:
    """Convert the value of --profile, if `apply_profile` has not replaced it."""
    del kind
    return OptionSources(profile=tokens[0].value)


def apply_profile(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give options the values of a profile, and --profile the sources of all of them; called by Cyclopts.

    Raises:
        InvalidInputError: the configuration file is invalid, or lacks the profile.
    """
    del app, commands
    chosen = arguments.get("--profile", None)
    if chosen is None:  # a command that needs no server
        return
    from aioconnections.cli.config_file import SETTINGS, read_config

    options = {name: arguments[f"--{name.replace('_', '-')}"] for name in SETTINGS}
    for option in options.values():
        option.tokens = [token for token in option.tokens if token.source != "env" or token.value]
    named = chosen.tokens[-1].value if chosen.tokens else None
    if named == "":
        raise InvalidInputError("--profile is empty; give the name of a profile")
    file = read_config()
    sources = _ProfileMerge(options, file, named).merged()
    chosen.tokens = [Token(keyword="--profile", source="profile", implicit_value=sources)]


@define
class _ProfileMerge:
    """Merges a profile into the options of one command."""

    options: Mapping[str, Argument]
    file: ConfigFile | None
    named: str | None
    sources: dict[str, SourceName] = field(factory=dict[str, SourceName], init=False)
    withheld: dict[str, str] = field(factory=dict[str, str], init=False)

    def merged(self) -> OptionSources:
        """Merge, and return the sources."""
        name = self.named or (None if self.file is None else self.file.default)
        values: dict[str, str] = {}
        if name is not None:
            if self.file is None:
                from aioconnections.cli.config_file import config_path
                from aioconnections.cli.terminal import escaped

                raise InvalidInputError(
                    f'there is no profile "{name}", because {escaped(str(config_path()))} is missing'
                )
            values = self.file.settings(name)
        for option, argument in self.options.items():
            if argument.tokens:
                self.sources[option] = "environment" if argument.tokens[0].source == "env" else "argument"
        secrets = {option: values.pop(option) for option in _SECRET_FILES if option in values}
        self._drop_halves(values)
        for option, value in values.items():
            if self._is_free(option):
                self._set(option, value, name)
        self._withhold_environment()
        self._add_secret_files(secrets, values, name)
        return OptionSources(
            profile=name,
            is_default=name is not None and self.named is None,
            profiles=() if self.file is None else tuple(self.file.profiles),
            file=None if self.file is None else self.file.path,
            by_option=self.sources,
            withheld=self.withheld,
        )

    def value(self, option: str) -> str:
        """The value of an option; empty without one."""
        tokens = self.options[option].tokens
        return tokens[-1].value if tokens else ""

    def _is_free(self, option: str) -> bool:
        """Whether no source of higher precedence than the profile gives this option."""
        return self.sources.get(option) in ({None, "environment"} if self.named else {None})

    def _set(self, option: str, value: str, profile: str | None) -> None:
        keyword = f'{option} in the profile "{profile}" of {None if self.file is None else self.file.path}'
        self.options[option].tokens = [Token(keyword=keyword, value=value, source="profile")]
        self.sources[option] = "profile"

    def _drop_halves(self, values: dict[str, str]) -> None:
        """A certificate and a key come from one source."""
        if not any(option in values for option in _CERTIFICATE):
            return
        if not all(map(self._is_free, _CERTIFICATE)):
            for option in _CERTIFICATE:
                values.pop(option, None)
            return
        for option in _CERTIFICATE:
            self.options[option].tokens = []
            self.sources.pop(option, None)

    def _withhold_environment(self) -> None:
        """Withhold secrets of the environment from a server or user of a profile that the environment does not name."""
        url, user = self.sources.get("url") == "profile", self.sources.get("user") == "profile"
        other_server = url and not _is_same_server(os.environ.get(_URL, ""), self.value("url"))
        other_user = user and os.environ.get(_USER, "") != self.value("user")
        if other_server:
            self.withheld[TOKEN] = f"the URL is that of a profile, and {_URL} does not name the same server"
            self.withheld[PASSWORD] = self.withheld[TOKEN]
        elif other_user:
            self.withheld[PASSWORD] = f"the user is that of a profile, and {_USER} does not name the same"
        if user and self.named and TOKEN not in self.withheld:
            self.withheld[TOKEN] = "the user is that of --profile"

    def _add_secret_files(self, secrets: Mapping[str, str], values: Mapping[str, str], profile: str | None) -> None:
        """Use the file with a secret that the profile names, if server and user are those of the profile."""
        if any(self.sources.get(option) for option in _SECRET_FILES):
            return
        for option, value in secrets.items():
            if not _is_same_server(values["url"], self.value("url")):
                self.withheld[option] = "the URL is not that of the profile"
            elif self._is_other_user(option, values.get("user")):
                self.withheld[option] = "the user is not that of the profile"
            elif self.named or not self._environment_signs_in():
                self._set(option, value, profile)

    def _is_other_user(self, option: str, user: str | None) -> bool:
        """Whether a source of higher precedence than the profile names a user whom its secret does not belong to."""
        used = self.value("user")
        if option == "password_file":
            return used != user
        return bool(used) and not self._is_free("user") and used != user

    def _environment_signs_in(self) -> bool:
        found = evolve(ARGUMENTS_ALONE, withheld=self.withheld).environment
        return TOKEN in found or (PASSWORD in found and bool(self.value("user")))


def _is_same_server(one: str, other: str) -> bool:
    """Whether two URLs name the same scheme, host and port."""
    found = _origin(one)
    return found is not None and found == _origin(other)


def _origin(url: str) -> Origin | None:
    from aioconnections.protocol.address import split_url

    try:
        return split_url(url)[0]
    except InvalidInputError:
        return None  # refused later, where the message says why
