"""The proxy that the environment names for a server, and what goes wrong with proxies.

The variables are read here alone, so that the rules are the same on every platform and for every transport: httpx is
given one proxy, or none. Lanes do not support proxies: with a proxy, httpx sends the requests.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from http import HTTPStatus
from importlib import import_module
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from aioconnections.errors import InvalidInputError, ProxyError, TransportError
from aioconnections.protocol.messages import Origin
from aioconnections.transport.limits import local_limit_error

__all__ = ["Proxy", "is_loopback", "not_connected", "proxy_variable", "refusal"]

_SCHEMES = ("http", "https", "socks5", "socks5h")
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")
_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*):(?P<port>[0-9]{1,5})")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@frozen
class Proxy:
    """A proxy that a variable of the environment names.

    Attributes:
        variable: name of the variable.
        scheme: ``http``, ``https``, ``socks5`` or ``socks5h``.
        authority: host and port.
        login: gives user and password; None without a login.
    """

    variable: str
    scheme: str
    authority: str
    login: Callable[[], tuple[str, str]] | None = field(default=None, repr=False, eq=False)

    @property
    def url(self) -> str:
        """The URL without the login."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return f"the proxy at {self.authority} ({self.variable})"

    @classmethod
    def of(cls, variable: str, value: str) -> Proxy:
        """Read the value of a variable; a URL without a scheme is of an HTTP proxy. Errors do not show the value.

        Raises:
            InvalidInputError: the value is not the URL of a proxy that can be used.
        """
        text = value.strip()
        url = text if "://" in text else f"http://{text}"
        scheme = url.partition("://")[0].lower()
        if scheme not in _SCHEMES:
            names = ", ".join(_SCHEMES[:-1])
            shown = f" {scheme!r}" if re.fullmatch(r"[a-z][a-z0-9+.-]{0,20}", scheme) else ""
            raise InvalidInputError(
                f"{variable} names a proxy of the unsupported scheme{shown}; use {names} or {_SCHEMES[-1]}"
            )
        try:
            authority, user, password = _parts(url)
        except ValueError:
            authority = user = password = ""
        if not authority:
            raise InvalidInputError(
                f"{variable} is not the URL of a proxy, such as http://proxy.example.com:3128; special characters in"
                " its user and password must be percent-encoded"
            )
        if scheme.startswith("socks"):
            _check_socks(variable)
        return cls(variable, scheme, authority, (lambda: (user, password)) if user or password else None)


def _parts(url: str) -> tuple[str, str, str]:
    """Authority, user and password in the URL of a proxy.

    Raises:
        ValueError: it has no valid host or port, or has more than these parts.
    """
    parts = urlsplit(url)
    host, port = _proxy_host(parts.hostname or ""), parts.port
    user, password = (unquote(text or "", errors="strict") for text in (parts.username, parts.password))
    f"{user}{password}".encode()  # an environment may hold bytes that are not UTF-8
    if not host or port == 0 or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError
    return host if port is None else f"{host}:{port}", user, password


def _proxy_host(name: str) -> str:
    """A host as in a URL, or an empty string."""
    if ":" in name:
        return f"[{ipaddress.IPv6Address(name)}]"
    host = (name if name.isascii() else name.encode("idna").decode()).lower()
    return host if _HOST.fullmatch(host) else ""


def _check_socks(variable: str) -> None:
    try:
        import_module("socksio")  # httpx looks for it only when a request is sent
    except ImportError:
        pass
    else:
        return
    raise InvalidInputError(f'{variable} names a SOCKS proxy, which needs one more package: pip install "httpx[socks]"')


# --- the variables ---


def proxy_variable(origin: Origin) -> str | None:
    """The variable that names a proxy for `origin`; None if there is none, or if `origin` needs no proxy.

    ``https_proxy`` or ``http_proxy`` by the scheme, then ``all_proxy``, each in lower case before upper case. An empty
    variable counts as unset. ``HTTP_PROXY`` is ignored in a CGI process, where a client can set it with a header. This
    machine itself needs no proxy.
    """
    names = (f"{origin.scheme}_proxy", "all_proxy")
    spelled = [spelling for name in names for spelling in (name, name.upper())]
    if "REQUEST_METHOD" in os.environ:
        spelled = [name for name in spelled if name != "HTTP_PROXY"]
    found = next((name for name in spelled if os.environ.get(name, "").strip()), None)
    if found is None or is_loopback(origin.host):
        return None
    return None if _is_excepted(origin) else found


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, judging by its name or address."""
    name = host.rstrip(".")
    address = _address(name)
    return name == "localhost" or name.endswith(".localhost") or (address is not None and address.is_loopback)


def _is_excepted(origin: Origin) -> bool:
    """Whether ``no_proxy`` or ``NO_PROXY`` lists the server.

    Entries are separated by commas or blanks, and any may end in a port:

    - ``example.com`` and ``.example.com``: the host and all hosts below it, as in curl;
    - ``*``: all hosts; a pattern such as ``*.example.com`` or ``10.1.*``: the hosts that it matches;
    - an IP address, IPv6 with or without brackets;
    - a network such as ``10.0.0.0/8`` or ``fd00::/8``, for a server that the URL names by its address. Names are not
      looked up, because that may be the task of the proxy.
    """
    entries = next((os.environ[name] for name in ("no_proxy", "NO_PROXY") if os.environ.get(name, "").strip()), "")
    host = origin.host.rstrip(".")
    address = _address(host)
    return any(_matches(entry.lower(), host, origin.port, address) for entry in re.split(r"[,\s]+", entries) if entry)


def _matches(entry: str, host: str, port: int, address: _Address | None) -> bool:
    """Whether one entry of ``no_proxy`` includes a server."""
    with_port = _PORT.fullmatch(entry)
    if with_port is not None:
        if int(with_port["port"]) != port:
            return False
        entry = with_port["host"]
    bare, slash, prefix = entry.partition("/")
    bare = bare.removeprefix("[").removesuffix("]")
    if address is not None and "*" not in bare:
        try:
            network = ipaddress.ip_network(f"{bare}{slash}{prefix.removesuffix(']')}", strict=False)
        except ValueError:
            return False
        return address in network
    if "*" in bare:
        return re.fullmatch(".*".join(map(re.escape, bare.split("*"))), host) is not None
    name = bare.strip(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return False
    return bool(name) and not slash and (host == name or host.endswith(f".{name}"))


def _address(host: str) -> _Address | None:
    """The address that a host is; an IPv4 address in IPv6 form as IPv4. None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (address.ipv4_mapped if address.version == 6 else None) or address


# --- failures ---


def not_connected(proxy: Proxy, causes: Sequence[BaseException]) -> TransportError:
    """The error for a failed connection to the proxy itself."""
    limit = local_limit_error(causes)
    if limit is not None:
        return limit

    def includes(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if includes(ssl.SSLCertVerificationError):
        problem = f"the certificate of {proxy} was refused; check {proxy.variable}, or pass verify= or --ca-file"
    elif includes(ssl.SSLError):
        problem = f"{proxy} does not speak TLS; check the scheme in {proxy.variable}"
    elif includes(socket.gaierror, UnicodeError):
        problem = f"the host name of {proxy} could not be resolved; check {proxy.variable}"
    elif includes(ConnectionRefusedError):
        problem = f"{proxy} refused the connection; check {proxy.variable}"
    else:
        problem = f"{proxy} could not be reached; check {proxy.variable}"
    return ProxyError(problem, proxy=proxy.authority)


def refusal(proxy: Proxy, origin: Origin, status: int | None, *, certain: bool = True) -> ProxyError:
    """The error for a proxy that did not pass a request on.

    Args:
        proxy: the proxy.
        origin: the server that the request was for.
        status: HTTP status of the proxy's response; None if it is not an HTTP proxy.
        certain: whether the response certainly comes from the proxy, and not from a server behind it.
    """
    host, variable = origin.host, proxy.variable
    direct = f"list {host} in NO_PROXY if this machine can reach it directly"
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        problem = (
            f"{proxy} asks for a login (HTTP 407); put one into {variable}: http://user:password@host:port"
            if proxy.login is None
            else f"{proxy} refused its login (HTTP 407); correct the user and password in {variable}"
        )
    elif status is None:
        problem = f"{proxy} did not connect to {origin.authority}; check {variable}, or {direct}"
    elif not certain:
        problem = (
            f"{proxy}, or a server behind it, responded HTTP {status} with a page that does not come from Connections;"
            f" check the URL, or {direct}"
        )
    elif status < 500:
        problem = (
            f"{proxy} does not allow connections to {origin.authority} (HTTP {status}); ask its administrator, or"
            f" {direct}"
        )
    else:
        problem = f"{proxy} could not reach {origin.authority} (HTTP {status}); check the host in the URL, or {direct}"
    error = ProxyError(problem, proxy=proxy.authority, status=status, sent="no" if certain else "maybe")
    error.deterministic = status is not None and status < 500
    return error
