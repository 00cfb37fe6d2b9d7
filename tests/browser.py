"""A headless Chromium for tests, spoken to by the Chrome DevTools Protocol over a pipe: no driver, no socket."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SECONDS = 60


def find() -> str | None:
    """A Chromium of this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None) if os.name == "posix" else None


class Browser:
    """One tab of a Chromium that is ended with the block.

    Attributes:
        events: what the browser told of by itself, in order.
    """

    def __init__(self, program: str, folder: Path) -> None:
        arguments = [
            "--headless=new",
            "--remote-debugging-pipe",
            f"--user-data-dir={folder}",
            "--no-first-run",
        ]
        # What it would ask of its maker, and what it would need of a desktop.
        arguments += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        arguments += ["--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
        its_input, self._output = os.pipe()
        self._input, its_output = os.pipe()

        def join() -> None:  # the protocol is spoken on descriptors 3 and 4
            first, second = os.dup(its_input), os.dup(its_output)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self._process = subprocess.Popen(
            [program, *arguments, "about:blank"],
            pass_fds=(3, 4),
            preexec_fn=join,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(its_input)
        os.close(its_output)
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self._tab()
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")
        # As if somebody sat before it: without a focus of its own a page gives none to its fields.
        self("Emulation.setFocusEmulationEnabled", enabled=True)

    def _tab(self) -> str:
        """The tab that it opened with, which comes after other targets and some time."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            for target in self("Target.getTargets")["targetInfos"]:
                if target["type"] == "page" and target["url"] == "about:blank":
                    return str(target["targetId"])
            time.sleep(0.02)
        raise AssertionError("the browser opened no tab")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._input)
        os.close(self._output)

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the protocol."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._output, json.dumps(message).encode() + b"\0")
        while (said := self._read()).get("id") != self._last:
            self.events.append(said)
        assert "error" not in said, said["error"]
        found: dict[str, Any] = said["result"]
        return found

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._input], [], [], _SECONDS)
            data = os.read(self._input, 1 << 16) if ready else b""
            assert data, "the browser says nothing more"
            self._buffer += data
        first, self._buffer = self._buffer.split(b"\0", 1)
        found: dict[str, Any] = json.loads(first)
        return found

    def open(self, url: str) -> None:
        """Go to a page and wait until it is there."""
        self("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript on the page; a promise is awaited."""
        said = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + _SECONDS
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < end, f"never came true: {expression}"
            time.sleep(0.02)

    def write(self, text: str) -> None:
        """Type or paste into what has the focus."""
        self("Input.insertText", text=text)

    def press(self, key: str, code: int, modifiers: int = 0) -> None:
        """Press and let go a key: its name and its (Windows) key code; 2 is Ctrl, 8 is Shift."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        common = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        self("Input.dispatchKeyEvent", type="keyDown", modifiers=modifiers, text=text, **common)
        self("Input.dispatchKeyEvent", type="keyUp", modifiers=modifiers, **common)

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Give the page another size, as on a phone if so."""
        scale = 2 if phone else 1
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=phone,
        )

    def scheme(self, name: str) -> None:
        """Prefer "dark" or "light"."""
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, path: Path) -> None:
        """A PNG of the whole page."""
        content = self("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(content))

    def told(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Events for which `wanted` holds, those that are on their way included."""
        self.value("0")
        return [event for event in self.events if wanted(event)]
