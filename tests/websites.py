"""A server of plain files, for tests of what runs in a browser, and questions to modules that it offers."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from browser import Browser


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
