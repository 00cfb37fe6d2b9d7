"""The page of a server: answers come from the server that it was fetched from."""

from __future__ import annotations

from importlib import resources

from stepdown.page import Backend, Page, build

_FOOTER = (
    "<p>For programs: <code>POST predict</code> and <code>POST explain</code>, described in "
    '<a href="openapi.json">openapi.json</a>. What you type goes to this server and nowhere else.</p>'
)


def front() -> Page:
    """The page, and the policy that goes with it."""
    backend = Backend(
        script=resources.files("stepdown.serve").joinpath("server.js").read_text(encoding="utf-8"),
        without_script="This page needs JavaScript; the API at /predict does not.",
        footer=_FOOTER,
        policy={"frame-ancestors": "'none'"},
    )
    return build(backend)
