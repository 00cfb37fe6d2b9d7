"""The page: one file with its style and script inside, and the policy that forbids it anything else."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import NamedTuple

# One script, in this order: the last runs what the others define.
_SCRIPTS = ("page.js", "kinds.js", "one.js", "words.js", "many.js", "card.js", "start.js")


class Page(NamedTuple):
    """A page and the value of its Content-Security-Policy header."""

    html: str
    policy: str


def page() -> Page:
    """Put the page together.

    The policy names style and script by their digests, so that nothing which a text, a label or a card might
    smuggle in would run, and lets the page speak with its own server only.
    """
    markup, style = _part("page.html"), _part("page.css")
    script = "\n".join(map(_part, _SCRIPTS))
    html = markup.replace("/* page.css */", style, 1).replace("/* page.js */", script, 1)
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return Page(html, policy)


def _part(name: str) -> str:
    return resources.files("stepdown.serve").joinpath(name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    """A part as policies name it: the base64 of its sha256."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
