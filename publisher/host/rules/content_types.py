"""Which type a published file is sent as: the same on every machine."""

from __future__ import annotations

import mimetypes

_OWN = {
    ".css": "text/css; charset=UTF-8",
    ".csv": "text/csv; charset=UTF-8",
    ".html": "text/html; charset=UTF-8",
    ".ico": "image/x-icon",
    ".js": "application/javascript; charset=UTF-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".md": "text/markdown; charset=UTF-8",
    ".mjs": "application/javascript; charset=UTF-8",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".txt": "text/plain; charset=UTF-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_KNOWN = mimetypes.MimeTypes()


def content_type(name: str) -> str:
    """Return the type for a path, by its last suffix; text is UTF-8."""
    file = name.rpartition("/")[2].lower()
    dot = file.rfind(".")
    own = _OWN.get(file[dot:]) if dot >= 0 else None
    if own:
        return own
    kind, packing = _KNOWN.guess_type(file, strict=True)
    if packing:
        return _PACKED.get(packing, "application/octet-stream")
    if kind and kind.startswith("text/"):
        return f"{kind}; charset=UTF-8"
    return kind or "application/octet-stream"
