"""Folders that know whether they are complete, and what they were made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stepdown.store.digests import file_digest
from stepdown.store.files import flush_tree, is_temporary, write_json
from stepdown.store.places import disk_errors

MANIFEST = "manifest.json"


def finish(folder: Path, manifest: dict[str, Any]) -> None:
    """Declare `folder` complete: flush its files, then write manifest.json with their sizes and digests.

    Args:
        folder: with everything already in it; files in folders below count too.
        manifest: JSON values. Its "key" (str) is the digest of all that the content was made from; "files"
            is filled in here.

    Raises:
        StoreError: the disk fails.
        ValueError: there is no key, or "files" is taken.
    """
    if not isinstance(manifest.get("key"), str) or "files" in manifest:
        raise ValueError('a manifest needs a "key" (str), and leaves "files" to be filled in')
    with disk_errors(folder):
        flush_tree(folder)
        files = {
            path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": file_digest(path)}
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path != folder / MANIFEST and not is_temporary(path)
        }
    write_json(folder / MANIFEST, {**manifest, "files": files})


def finished(folder: Path, key: str, *, verify: bool = False) -> dict[str, Any] | None:
    """The manifest of a complete folder; None if it is absent, was made from something else, or lost a file.

    Args:
        folder: that `finish` declared complete.
        key: that the content must have been made from.
        verify: compare the digest of each file too; otherwise only its size, which takes no time.

    Raises:
        StoreError: something is there and cannot be read.
    """
    with disk_errors(folder / MANIFEST, "read"):
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
    if not isinstance(manifest, dict) or manifest.get("key") != key:
        return None
    for name, facts in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != facts["size"]:
            return None
        if verify and file_digest(path) != facts["sha256"]:
            return None
    return manifest
