"""Puts the page together: one file with its style and script inside, and the policy that forbids it anything else."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import NamedTuple

# One script, in this order: the backend stands between the first, and the last runs what the others define.
_BEFORE = ("page.js",)
_AFTER = ("kinds.js", "one.js", "words.js", "many.js", "card.js", "start.js")


@dataclass(frozen=True)
class Backend:
    """Where the page's answers come from.

    Attributes:
        script: JavaScript that defines `ask`.
        without_script: what is said where scripts are off.
        footer: HTML at the foot of the page: where what is typed goes, and what else can be done.
        policy: directives that come on top of the page's own, or in their place.
    """

    script: str
    without_script: str
    footer: str
    policy: Mapping[str, str] = field(default_factory=dict)


class Page(NamedTuple):
    """A page, and its Content-Security-Policy."""

    html: str
    policy: str


def build(backend: Backend, *, name: str | None = None) -> Page:
    """Put the page together.

    The policy names style and script by their digests, so that nothing which a text, a label or a card might
    smuggle in would run, and lets the page speak with nobody but where it came from.

    Args:
        backend: answers.
        name: what the model is called, where that is known before the page is opened; the page then holds its policy
            too, for servers that send none.
    """
    style = _part("page.css")
    script = "\n".join([*map(_part, _BEFORE), backend.script, *map(_part, _AFTER)])
    directives = {
        "default-src": "'none'",
        "style-src": f"'{_digest(style)}'",
        "script-src": f"'{_digest(script)}'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
        **backend.policy,
    }
    policy = "; ".join(f"{directive} {sources}" for directive, sources in directives.items())
    parts = {
        "<!-- policy -->\n": "",
        "<!-- without script -->": html.escape(backend.without_script),
        "<!-- footer -->": backend.footer,
        "/* page.css */": style,
        "/* page.js */": script,
    }
    if name is not None:
        parts["<!-- policy -->\n"] = (
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">\n'
        )
        parts |= {
            "<title>stepdown</title>": f"<title>{html.escape(name)} · stepdown</title>",
            '<h1 id="name">stepdown</h1>': f'<h1 id="name">{html.escape(name)}</h1>',
        }
    return Page(_filled(_part("page.html"), parts), policy)


def title(bundle: str, card: str) -> str:
    """What to call a bundle: the heading of its card, else its file's name; never the folders that it lies in."""
    heading = re.match(r"# +(\S.*)", card)
    if heading is None:
        return Path(bundle).stem or "model"
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", heading[1])  # Markdown's escapes


def _filled(markup: str, parts: Mapping[str, str]) -> str:
    """The markup with every part in its place, in one pass: no part is looked for in another one."""
    places = re.compile("|".join(map(re.escape, parts)))
    return places.sub(lambda found: parts[found.group()], markup)


def _part(name: str) -> str:
    return resources.files("stepdown.page").joinpath(name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    """A part as policies name it: the base64 of its sha256."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
