"""A user of the hub on this machine: programs that run with its address, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.hub_server import Hub

ROOT = Path(__file__).parents[1]
QUICK = {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}  # seconds without an answer


def settings(hub: Hub, home: Path, **more: str) -> dict[str, str]:
    """The environment of a user of this hub."""
    foreign = ("_proxy", "hf_token", "hf_home")
    own = {name: value for name, value in os.environ.items() if not name.lower().endswith(foreign)}
    return {
        **own,
        # So that the server need not unpack what the client sends.
        "HF_XET_XORB_COMPRESSION_POLICY": "none",
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home / "hf"),
        "PYTHONPATH": str(ROOT / "src"),
        **more,
    }


class Client:
    """A process that opens models and data for us, as one user's programs do."""

    def __init__(self, hub: Hub, home: Path, **more: str) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "hub_client.py")],
            env=settings(hub, home, **more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def opened(self, *steps: dict[str, Any]) -> list[dict[str, Any]]:
        """What became of some steps."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        found = []
        for step in steps:
            self.process.stdin.write(json.dumps(step) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read() if self.process.stderr else ""
            found.append(json.loads(line))
            assert "\n" not in found[-1].get("says", "")
        return found

    def close(self) -> None:
        _, said = self.process.communicate()
        assert self.process.returncode == 0, said


def opened(hub: Hub, home: Path, *steps: dict[str, Any], **more: str) -> list[dict[str, Any]]:
    """What became of some steps, in a process of their own."""
    client = Client(hub, home, **more)
    try:
        return client.opened(*steps)
    finally:
        client.close()


def stepdown(hub: Hub, home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command, as a user calls it."""
    done = subprocess.run(
        [sys.executable, "-m", "stepdown", *words],
        env=settings(hub, home, **more),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert "Traceback" not in done.stderr
    return done
