"""A Netlify-compatible host on this machine: `publisher serve`.

It speaks the part of Netlify's API that publishing needs, runs the same build and keeps every deploy immutable, so that
the product's one Netlify client works with it unchanged.
"""

from __future__ import annotations

from publisher.host.http.app import create_app
from publisher.host.http.server import running, serve
from publisher.host.options import Bounds, HostInfo, HostOptions

__all__ = ["Bounds", "HostInfo", "HostOptions", "create_app", "running", "serve"]
