"""What stands at a path where somebody wants a file, and what that means for whoever writes there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from stepdown.errors import InputError


def is_stream(path: Path) -> bool:
    """Whether a device or a pipe is at the path, or at the end of a link there: it takes bytes as they come.

    Nothing may take its place: a file in the place of /dev/null would be filled by every program of the machine.

    Raises:
        InputError: a folder is there.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder. Name a file.")
    return path.exists() and not path.is_file()


def end_of_links(path: Path) -> Path:
    """The file that a link at the path leads to, which is what is to be replaced; the path itself if it is no link."""
    return path.resolve() if path.is_symlink() else path


def keep_mode(old: Path, new: Path) -> None:
    """Give a new file the permissions of the one whose place it will take, if there is one: private stays private."""
    with suppress(OSError):  # there is none, or it is another's, or of a file system without them
        new.chmod(old.stat().st_mode & 0o7777)
