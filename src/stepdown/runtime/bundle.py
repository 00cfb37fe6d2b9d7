"""The bundle: a folder or one `.stepdown` file with all that a classifier needs. See docs/bundle.md."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from stepdown.errors import BundleError, InputError
from stepdown.runtime import atomic
from stepdown.runtime.about import About, Promise, decode, encode
from stepdown.runtime.files import ABOUT, LARGEST_ABOUT, Files, opened

CARD = "README.md"
SUFFIX = ".stepdown"
_METADATA = re.compile(r"\A---[ \t]*\r?\n.*?^---[ \t]*(?:\r?\n)+", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory: what it says of itself, and the verified content of its files by name."""

    about: About
    files: Mapping[str, bytes]

    @property
    def card(self) -> str:
        """The text of its README.md, without the metadata that opens it for a hub; empty where it has none."""
        return _METADATA.sub("", self.files.get(CARD, b"").decode("utf-8", "replace"))


def read(path: str | Path) -> Bundle:
    """Read a bundle and verify all of it.

    Args:
        path: a folder, or a `.stepdown` file.

    Raises:
        BundleError: there is none, or it is incomplete, damaged, of another version, or not to be trusted.
    """
    path = Path(path)
    with opened(path) as files:
        size = files.size(ABOUT)
        if size > LARGEST_ABOUT:
            raise BundleError(
                f"{path}: {ABOUT} has {size:,} bytes, more than any bundle needs. Do not trust it."
            )
        about, promises = decode(files.read(ABOUT, size), f"{path}: {ABOUT}")
        # A folder may have anything beside its bundle; an archive is made for it alone.
        if path.is_file() and (unknown := sorted(files.names() - promises.keys() - {ABOUT})):
            raise BundleError(
                f"{path} holds {', '.join(unknown)}, which {ABOUT} does not list. Export it again."
            )
        held = {name: _verified(files, name, promise, path) for name, promise in promises.items()}
    return Bundle(about, MappingProxyType(held))


def _verified(files: Files, name: str, promise: Promise, path: Path) -> bytes:
    size = files.size(name)
    if size != promise.size:
        raise BundleError(
            f"{path}: {name} has {size:,} bytes, but {ABOUT} says {promise.size:,}. "
            "It was changed or not copied whole: copy the bundle again."
        )
    content = files.read(name, size)
    found = hashlib.sha256(content).hexdigest()
    if found != promise.sha256:
        raise BundleError(
            f"{path}: {name} is damaged: its sha256 is {found[:12]}…, "
            f"but {ABOUT} says {promise.sha256[:12]}…. Copy the bundle again."
        )
    return content


def write(target: str | Path, about: About, files: Mapping[str, bytes]) -> None:
    """Write a bundle, whole or not at all, in the place of a bundle that was there.

    Args:
        target: a folder, or a single file if its name ends in `.stepdown`.
        about: what it says of itself.
        files: the content of all files but `bundle.json`, by name.

    Raises:
        BundleError: something in it would not be read again.
        InputError: `target` holds something that is no bundle.
        StoreError: the disk is full or read-only, or permission is missing.
    """
    target = Path(target)
    as_file = target.suffix == SUFFIX and not target.is_dir()
    replaceable = as_file or not target.exists() or (target / ABOUT).is_file() or _is_empty_folder(target)
    if not replaceable:
        raise InputError(f"{target} exists and is no bundle, so it is left as it is. Choose another place.")
    files = dict(sorted(files.items()))
    everything = {ABOUT: encode(about, files), **files}
    if as_file:
        with atomic.new_file(target) as file:
            atomic.write(file, _zipped(everything), target)
        return
    with atomic.new_folder(target) as folder:
        for name, part in everything.items():
            with atomic.new_file(folder / name) as file:
                atomic.write(file, part, target / name)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _zipped(files: Mapping[str, bytes]) -> bytes:
    import zipfile  # takes as long to import as a small bundle to load, which does not need it

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            # A fixed time and mode: the same bundle is always the same bytes.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)
    return packed.getvalue()
