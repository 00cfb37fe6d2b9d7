"""Models that come with stepdown, by name: bundles inside the package, for which nothing is downloaded."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from stepdown.errors import BundleError
from stepdown.runtime.files import ABOUT, told

_FOLDER = Path(__file__).parent.parent / "models"
_NAME = re.compile(r"[\w-]+")


def shipped() -> dict[str, Path]:
    """The models that come with stepdown: name → file. docs/models.md tells what they are."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.stepdown"))}


def find(name_or_path: str | Path) -> Path:
    """Where the bundle is that a name or a path stands for; whether there is one is not looked at.

    A bundle of that name in the working folder comes before a shipped one; a folder of that name that is no bundle
    does not get in the way. A `Path`, and what is written as one (`./sentiment`), is never a name.

    Raises:
        BundleError: it can only be a name, and no shipped model has it.
    """
    path = Path(name_or_path)
    with told(path):
        if path.is_file() or (path / ABOUT).is_file() or not isinstance(name_or_path, str):
            return path
    known = shipped()
    if name_or_path in known:
        return known[name_or_path]
    if _NAME.fullmatch(name_or_path) and not path.exists():
        near = difflib.get_close_matches(name_or_path, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise BundleError(
            f"There is no bundle {name_or_path!r} here, and no model of that name comes with stepdown.{hint} Shipped "
            f"are {', '.join(known)}; or name a folder with {ABOUT}, or a .stepdown file."
        )
    return path
