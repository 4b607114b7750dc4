"""What readers sent by Netlify's forms. Everything in it is hostile: this only fetches and bounds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from publisher.netlify.client import Netlify

PER_PAGE = 100
MOST = 5_000
"""Submissions that are read, the newest; a site that has more is flooded, and says so."""


class Form(msgspec.Struct, frozen=True):
    """A form as the API describes it."""

    id: str
    name: str | None = None
    submission_count: int | None = None


class Submission(msgspec.Struct, frozen=True):
    """One submission as the API describes it; `data` holds the fields, and Netlify's own notes beside them."""

    id: str
    number: int | None = None
    created_at: str | None = None
    data: dict[str, object] = {}


def find(netlify: Netlify, name: str) -> Form | None:
    """Return the site's form of this name; None where no deploy has declared it, or where detection is off."""
    found = netlify.call("GET", f"/sites/{netlify.site_id}/forms", list[Form], "the list of forms")
    return next((form for form in found if form.name == name), None)


def submissions(netlify: Netlify, form: Form, most: int = MOST) -> tuple[list[Submission], bool]:
    """Return what was sent, oldest first, the newest `most` of it, and whether there may be more than that."""
    found: list[Submission] = []
    for page in range(1, most // PER_PAGE + 1):
        query = {"page": str(page), "per_page": str(PER_PAGE)}
        path = f"/forms/{form.id}/submissions"
        part = netlify.call("GET", path, list[Submission], "the list of submissions", query)
        found += part
        if len(part) < PER_PAGE:
            return found[::-1], False
    return found[::-1], True
