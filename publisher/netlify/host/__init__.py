"""A Netlify-compatible host on this machine: `publisher serve`.

It speaks the part of Netlify's API that publishing needs, runs the same build and keeps every deploy immutable, so that
the product's one Netlify client works with it unchanged.
"""

from __future__ import annotations

from publisher.netlify.host.app import create_app
from publisher.netlify.host.options import Bounds, HostInfo, HostOptions
from publisher.netlify.host.server import running, serve

__all__ = ["Bounds", "HostInfo", "HostOptions", "create_app", "running", "serve"]
