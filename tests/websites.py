"""A server of plain files, for tests of what runs in a browser, and questions to modules that it offers."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from browser import Browser

from stepdown import web
from stepdown.errors import HubError


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def offered(folder: Path) -> Iterator[str]:
    """The URL of a folder, for as long as the block lasts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def computed(browser: Browser, folder: Path, data: Any, script: str) -> Any:
    """What a script returns of `data`, on a page of a server that offers `folder`.

    It is the body of an async function, and both go as JSON, so that texts may hold halves of surrogate pairs.
    """
    (folder / "data.json").write_text(json.dumps(data), encoding="ascii")
    fetching = "await (await fetch('/data.json', { cache: 'no-store' })).json()"
    said = browser.value(
        f"(async () => {{ const data = {fetching}; return JSON.stringify(await (async () => {{ {script} }})()); }})()"
    )
    return json.loads(said)


def website(bundle: str | Path, target: Path, environment: Mapping[str, str]) -> Path:
    """A bundle as a folder for the web; the test is skipped where onnxruntime-web cannot be had.

    Args:
        bundle: a path, or the name of a shipped model.
        target: the folder.
        environment: of whoever runs the tests, whose cache keeps onnxruntime-web.
    """
    with own_cache(environment):
        try:
            return web.export(str(bundle), target, pack=_not_packed)
        except HubError as error:
            pytest.skip(f"needs onnxruntime-web from npm's registry: {error}")


@contextmanager
def own_cache(environment: Mapping[str, str]) -> Iterator[None]:
    """The cache of whoever runs the tests, so that nothing is downloaded each time."""
    with pytest.MonkeyPatch.context() as patch:
        if "STEPDOWN_CACHE" in environment:
            patch.setenv("STEPDOWN_CACHE", environment["STEPDOWN_CACHE"])
        else:
            patch.delenv("STEPDOWN_CACHE", raising=False)
        yield


def _not_packed(path: Path) -> None:
    raise AssertionError("this is no run")
