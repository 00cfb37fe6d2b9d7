"""Where on a hub a parcel goes, and what lies there already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown import store
from stepdown.assets import repositories

MAIN = "main"
# What a hub puts into every repository itself.
OF_THE_HUB = frozenset((".gitattributes",))
_OF_LARGE = 64  # digits of a sha256


@dataclass(frozen=True)
class Place:
    """A repository of models and a branch of it.

    Attributes:
        repository: `owner/name`.
        branch: its name.
        is_private: the repository is to be, or is, readable for its owners alone; None for what the owner's settings
            say.
    """

    repository: str
    branch: str = MAIN
    is_private: bool | None = None

    @property
    def url(self) -> str:
        """Its page, of the hub that the client knows."""
        page = f"{repositories.client().constants.ENDPOINT}/{self.repository}"
        return page if self.branch == MAIN else f"{page}/tree/{self.branch}"


@dataclass(frozen=True)
class There:
    """What lies at a place.

    Attributes:
        commit: its head.
        is_private: whether only its owners read it.
        digests: name → sha256 of a large file, git's own digest (sha1) of a small one.
    """

    commit: str
    is_private: bool
    digests: Mapping[str, str]


def look(place: Place) -> There | None:
    """What lies at a place; None where there is no such repository.

    Raises:
        Exception: whatever the client raises, `RevisionNotFoundError` for a branch that is missing among it.
    """
    hub = repositories.client()
    options = {"files_metadata": True, "timeout": hub.constants.HF_HUB_ETAG_TIMEOUT}
    try:
        found = repositories.patiently(
            lambda: hub.HfApi().model_info(place.repository, revision=place.branch, **options)
        )
    except hub.errors.RepositoryNotFoundError as error:
        # Whoever has a token that the hub knows is told by 404, and by 401 who has none.
        if error.response.status_code == 404:
            return None
        raise
    digests = {file.rfilename: _digest(file) for file in found.siblings or ()}
    return There(found.sha, bool(found.private), digests)


def _digest(file: Any) -> str:
    return str(file.lfs.sha256 if file.lfs else file.blob_id)


def is_same(content: bytes | Path, digest: str) -> bool:
    """Whether a file's content is what has this digest at a place."""
    if len(digest) == _OF_LARGE:
        found = (
            hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else store.file_digest(content)
        )
        return found == digest
    whole = content if isinstance(content, bytes) else content.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(whole) + whole).hexdigest() == digest
