"""Proxies that the environment names. They are never used silently."""

from __future__ import annotations

import os

from aioconnections.protocol.messages import Origin

__all__ = ["proxy_from_environment"]


def proxy_from_environment(origin: Origin) -> tuple[str, str] | None:
    """Name of the variable that sends requests to `origin` through a proxy, and the proxy's URL; None if none does."""
    names = (f"{origin.scheme}_proxy", "all_proxy")
    found = next(((n, os.environ[n]) for name in names for n in (name, name.upper()) if os.environ.get(n)), None)
    if found is None:
        return None
    from urllib.request import proxy_bypass  # costs 20 ms, which nobody without a proxy should pay

    if proxy_bypass(origin.authority):
        return None
    name, url = found
    return name, url if "://" in url else f"http://{url}"  # most programs take it without the scheme
