"""The page of a folder for the web: answers come from the tab itself."""

from __future__ import annotations

from importlib import resources

from stepdown.page import Backend, build

_FOOTER = (
    "<p>The model runs in this tab: what you type goes nowhere. Its files lie beside this page, "
    '<a href="README.md">README.md</a> tells what they are.</p>'
)


def front(name: str) -> str:
    """The page for a model, in HTML."""
    backend = Backend(
        script=resources.files("stepdown.web").joinpath("tab.js").read_text(encoding="utf-8"),
        without_script="This page needs JavaScript: the model runs in it.",
        footer=_FOOTER,
        policy={"worker-src": "'self'", "trusted-types": "stepdown"},
    )
    return build(backend, name=name).html
