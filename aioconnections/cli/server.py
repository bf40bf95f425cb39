"""The options for the server, the login and the speed."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from attrs import frozen
from cyclopts import Parameter

from aioconnections.cli.numbers import COUNT, RATE, TIMEOUT, Seconds
from aioconnections.cli.progress import Level, say
from aioconnections.cli.sources import ARGUMENTS_ALONE, PASSWORD, TOKEN, OptionSources, profile_name
from aioconnections.cli.terminal import escaped
from aioconnections.errors import InvalidInputError

if TYPE_CHECKING:
    from aioconnections.auth.credentials import Auth
    from aioconnections.client import Client
    from aioconnections.protocol.address import Address
    from aioconnections.protocol.messages import Origin
    from aioconnections.shared.settings import RedisShared
    from aioconnections.transport.tls import ClientCert

__all__ = ["SERVER", "ServerOptions"]


@Parameter(name="*", group="Server")
@frozen(kw_only=True)
class ServerOptions:
    """Server, login and speed. Secrets are read from a file, the environment or a prompt, never from an argument."""

    url: Annotated[str, Parameter(env_var="AIOCONNECTIONS_URL", show_default=False)] = ""
    """Base URL, such as https://connections.example.com; required."""
    profile: Annotated[
        OptionSources,
        Parameter(converter=profile_name, accepts_keys=False, n_tokens=1, metavar="NAME", show_default=False),
    ] = ARGUMENTS_ALONE
    """Profile in the configuration file, whose values take precedence over the environment. Without --profile, those of
    its default profile hold for what the environment does not set; see "aioconnections config"."""
    user: Annotated[str | None, Parameter(env_var="AIOCONNECTIONS_USER")] = None
    """Login name. The password is read from --password-file, from AIOCONNECTIONS_PASSWORD, from the keyring
    ("aioconnections login"), or from a prompt."""
    password_file: Path | None = None
    """File whose first line is the password."""
    token_file: Path | None = None
    """File whose first line is a bearer token, used instead of user and password; or set AIOCONNECTIONS_TOKEN."""
    token_paths: Literal["oauth", "ordinary"] = "oauth"  # noqa: S105 # the kind of a path
    """Where the server accepts the token: on the paths for OAuth (/profiles/oauth/atom/...) or on the ordinary ones."""
    ca_file: Path | None = None
    """File or folder of CA certificates to trust instead of those of the system."""
    client_cert: Annotated[Path | None, Parameter(env_var="AIOCONNECTIONS_CLIENT_CERT")] = None
    """File of the client certificate in PEM format, for a server that demands one; needs --client-key."""
    client_key: Annotated[Path | None, Parameter(env_var="AIOCONNECTIONS_CLIENT_KEY")] = None
    """File of the key of the client certificate. The password of an encrypted key is read from
    AIOCONNECTIONS_CLIENT_KEY_PASSWORD."""
    trust_env: Annotated[bool, Parameter(negative="")] = False
    """Use the proxy named in the environment."""
    max_connections: Annotated[int, COUNT] = 16
    """Largest number of concurrent requests."""
    max_per_second: Annotated[float, RATE] = 100
    """Largest number of requests started per second; 0 for no limit."""
    shared: Annotated[str | None, Parameter(env_var="AIOCONNECTIONS_SHARED")] = None
    """URL of a Redis server, such as redis://localhost:6379/0, through which all processes keep --max-per-second
    together. Set AIOCONNECTIONS_SHARED for a URL with a password. With the same AIOCONNECTIONS_SHARED_SECRET, they also
    send a refused login once. Empty: do not share, even if the profile names a URL."""
    shared_namespace: Annotated[str, Parameter(env_var="AIOCONNECTIONS_SHARED_NAMESPACE")] = "aioconnections"
    """Name under which they share; one for each Connections server."""
    shared_fallback: Annotated[int | None, COUNT] = None
    """Number of processes: while Redis is away, this one keeps to its part of the rate. By default it sends nothing."""
    attempt_timeout: Annotated[float, TIMEOUT] = 10
    """Seconds that one request may take, from connecting to the last byte of the response. All attempts for a row
    together may take six times as long, or one minute if that is longer."""
    log_level: Level | None = None
    """Log requests, runs and refused logins on standard error, from this level on; log records never name people."""

    def client(
        self,
        *,
        max_outage: Seconds = 300,
        run_timeout: Seconds = "none",
        max_attempts: int = 4,
        auth: Auth | None = None,
    ) -> Client:
        """A client for these options; each warning is printed as one line.

        Args:
            max_outage: seconds that a bulk run waits for an unavailable server.
            run_timeout: seconds that a bulk run may take.
            max_attempts: largest number of attempts of a call.
            auth: the login; None for that of the options.

        Raises:
            InvalidInputError: an option is invalid, or a secret is missing.
        """
        from aioconnections.client import Client, Timeouts

        self._check()
        credential = auth or self.login()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            client = Client(
                self.url,
                auth=credential,
                max_attempts=max_attempts,
                max_connections=self.max_connections,
                max_per_second=self.max_per_second or None,
                verify=self.ca_file or True,
                client_cert=self.certificate_of_client(),
                trust_env=self.trust_env,
                shared=self.store(),
                timeouts=Timeouts(
                    attempt=self.attempt_timeout,
                    item=max(60, 6 * self.attempt_timeout),
                    outage=None if max_outage == "none" else max_outage,
                    run=None if run_timeout == "none" else run_timeout,
                ),
            )
        for warning in caught:
            say(f"aioconnections: warning: {warning.message}")
        return client

    def store(self) -> RedisShared | None:
        """The Redis server through which processes share the rate, if any.

        Raises:
            InvalidInputError: an option is invalid.
        """
        from aioconnections.shared.settings import RedisShared, Share

        if not self.shared:  # an empty text overrides the URL of a profile
            if self.shared_fallback is not None:
                raise InvalidInputError("--shared-fallback needs --shared")
            return None
        fallback = None if self.shared_fallback is None else Share(self.shared_fallback)
        shared = RedisShared(self.shared, self.shared_namespace, fallback=fallback)
        if shared.has_password and self.shared != os.environ.get("AIOCONNECTIONS_SHARED"):
            raise InvalidInputError("--shared holds a password, which other users can see; set AIOCONNECTIONS_SHARED")
        return shared

    def address(self) -> Address:
        """The address of the server; no secret is read.

        Raises:
            InvalidInputError: the URL is missing or invalid, or the file of --ca-file has no certificates.
        """
        from aioconnections.protocol.address import Address

        self._check()
        return Address.of(self.url, oauth=self._has_token and self._oauth_paths)

    def origin(self) -> Origin:
        """Scheme, host and port of the server; no other option is checked.

        Raises:
            InvalidInputError: the URL is missing or invalid.
        """
        from aioconnections.protocol.address import Address

        self._check_url()
        return Address.of(self.url).origin

    @property
    def before_the_keyring(self) -> list[str]:
        """The secrets that take precedence over one in the keyring, apart from those that arguments name."""
        named = (name for name in ("token_file", "password_file") if self.profile.is_from_profile(name))
        files = [f'{name} of the profile "{self.profile.profile}"' for name in named]
        return [*files, *self.profile.environment][:1]

    @property
    def _has_token(self) -> bool:
        return bool(self.token_file or (not self.password_file and TOKEN in self.profile.environment))

    @property
    def _oauth_paths(self) -> bool:
        return self.token_paths == "oauth"  # noqa: S105 # the kind of a path

    def _check_url(self) -> None:
        if not self.url:  # not checked by Cyclopts, which would report a missing URL before an unknown option
            raise InvalidInputError("the URL is missing; use --url or --profile, or set AIOCONNECTIONS_URL")

    def _check(self) -> None:
        self._check_url()
        self.check_others()

    def check_others(self) -> None:
        """Check the options that do not need a URL; no secret is read.

        Raises:
            InvalidInputError: options conflict, or the file of --ca-file has no certificates.
        """
        if not self._oauth_paths and not self._has_token and not self.profile.is_from_profile("token_paths"):
            raise InvalidInputError(
                "--token-paths ordinary needs a token; use --token-file, or set AIOCONNECTIONS_TOKEN"
            )
        if self.ca_file is not None:
            _check_certificates(self.ca_file)
        if (self.client_cert is None) != (self.client_key is None):
            given, missing = ("key", "cert") if self.client_cert is None else ("cert", "key")
            raise InvalidInputError(f"--client-{given} needs --client-{missing}")

    def certificate_of_client(self) -> ClientCert | None:
        """The files of the client certificate; None without one."""
        from aioconnections.auth.environment import client_cert_of

        return client_cert_of(self.client_cert, self.client_key)

    def login(self) -> Auth | None:
        """The credential: options take precedence over the environment, and a token over a password.

        An empty user counts as none, like every empty variable. Without a credential, a warning is printed.

        Raises:
            InvalidInputError: a secret is missing or invalid.
        """
        from aioconnections.auth.credentials import Basic, Bearer
        from aioconnections.auth.environment import login
        from aioconnections.cli.secrets import first_line

        if self.token_file:
            return Bearer(first_line(self.token_file), oauth_paths=self._oauth_paths)
        if self.password_file:
            if not self.user:
                raise InvalidInputError("--password-file needs --user")
            return Basic(self.user, first_line(self.password_file))
        found = login(
            self.user, oauth_paths=self._oauth_paths, ask=self._stored_or_typed, environment=self.profile.environment
        )
        if found is None:
            self._say_withheld()
            say("aioconnections: warning: without --user or a token, requests are sent without a login")
        return found

    def _stored_or_typed(self, user: str) -> str:
        """The password of a user from the keyring, or else from a prompt."""
        from aioconnections.cli.secrets import password
        from aioconnections.cli.stored_logins import find_password

        found = find_password(self.origin(), user)
        if not found:
            self._say_withheld()
        return found or password(user)

    def _say_withheld(self) -> None:
        for secret, reason in self.profile.withheld.items():
            if secret not in {PASSWORD, TOKEN} or os.environ.get(secret):
                say(f"aioconnections: {secret} is not used: {reason}")


SERVER = ServerOptions()


def _check_certificates(path: Path) -> None:
    """Check that `path` is a file with certificates, or a folder."""
    import ssl

    folder = path.is_dir()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cafile=None if folder else path, capath=path if folder else None
        )
    except ssl.SSLError:
        problem = "it contains no certificates in PEM format"
    except OSError as error:
        problem = str(error.strerror)
    else:
        return
    raise InvalidInputError(f"--ca-file {escaped(str(path))}: {problem}")
