"""One release of a package of the npm registry, as the archive that it is, fetched once and then kept.

The registry is npm's own or the mirror that the environment variable npm_config_registry names, as for npm; proxy,
certificates and patience are those of pip's settings, as for all other downloads. The archive must have the digest
that our code names. Nothing of it is installed or run.

Left out: npm's configuration files, and tokens of private registries; who needs one puts the archive into the cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stepdown.assets import downloads, settings
from stepdown.errors import HubError

_REGISTRY = "https://registry.npmjs.org"


@dataclass(frozen=True)
class Release:
    """A package's release.

    Attributes:
        package: its name.
        version: of the release.
        sha256: of its archive.
        integrity: sha512 of its archive as npm's registry lists it.
        size: of its archive in bytes.
    """

    package: str
    version: str
    sha256: str
    integrity: str
    size: int

    @property
    def filename(self) -> str:
        """Of the archive."""
        return f"{self.package}-{self.version}.tgz"


def fetch(release: Release, progress: Callable[[int, int], None] | None = None) -> Path:
    """The archive of a release, verified.

    Args:
        release: what is wanted.
        progress: called with (bytes done, bytes in all) while it is downloaded.

    Raises:
        HubError: the registry cannot be reached, or does not have it.
        StoreError: the cache cannot be written.
    """
    return downloads.kept(release.filename, release.sha256, partial(_fetch, release, progress))


def registry(environment: Mapping[str, str] | None = None) -> str:
    """The registry's URL, without a slash at its end."""
    environment = os.environ if environment is None else environment
    named = (value for name, value in environment.items() if name.lower() == "npm_config_registry" and value)
    return next(named, _REGISTRY).rstrip("/")


def _fetch(release: Release, progress: Callable[[int, int], None] | None, path: Path) -> None:
    from unearth import Link

    from stepdown.assets import sources  # here, because a warm cache needs no network library

    base = registry()
    try:
        if not base.startswith(("http://", "https://")):
            raise sources.SourceError("unreachable", "npm_config_registry names no http or https address")
        with sources.session(settings.read()) as session:
            link = Link(f"{base}/{release.package}/-/{release.filename}")
            session.download(link, path, release.sha256, progress)
    except sources.SourceError as error:
        raise HubError(
            f"{release.filename} could not be fetched: {error.reason}. Connect to the network, or name a registry that "
            f"has it in the environment variable npm_config_registry, or put the file into {path.parent}; and start "
            "again. It is fetched once and then kept."
        ) from error
