"""Commands in processes of their own that heed an interrupt, for tests that send one."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from typing import Any


def started(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """A process as a user starts it: what a shell runs in the background ignores interrupts, and so would this.

    Args:
        command: program and words.
        options: of `subprocess.Popen`.
    """
    return subprocess.Popen(
        command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options
    )
