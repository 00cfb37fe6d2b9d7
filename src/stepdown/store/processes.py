"""Which process on which machine: what the names of unfinished files and the notes on locks tell."""

import hashlib
import os
import socket


def host() -> str:
    """This machine as 8 hex digits, fit for a file's name."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs; True where that cannot be known."""
    if os.name == "nt":  # there os.kill would end the process instead of asking for it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
