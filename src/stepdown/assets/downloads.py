"""Files that are fetched once and then kept, known by their digest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stepdown import store


def kept(filename: str, sha256: str, fetch: Callable[[Path], None]) -> Path:
    """A file in the folder "downloads" of the cache.

    One that is there and has the right digest is taken without a word to the network; a damaged one is fetched again.
    Two processes that want the same file fetch it once.

    Args:
        filename: in that folder.
        sha256: of the file, 64 hex digits.
        fetch: puts the file, which must have that digest, at the path that it is given.

    Raises:
        StoreError: the cache cannot be written; besides, whatever `fetch` raises.
    """
    path = store.cache_dir() / "downloads" / filename
    if _is_good(path, sha256):
        return path
    with store.lock(path.with_name(f"{filename}.lock"), f"another process is fetching {filename}", wait=True):
        if not _is_good(path, sha256):
            store.sweep(path.parent)
            fetch(path)
    return path


def _is_good(path: Path, sha256: str) -> bool:
    return path.is_file() and store.file_digest(path) == sha256
