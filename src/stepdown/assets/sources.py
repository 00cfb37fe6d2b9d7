"""One package index or folder of packages: what it lists, and how one file of it is downloaded.

`unearth` finds the file, as pip would. Nothing is ever installed or executed: an archive is bytes to us.
"""

from __future__ import annotations

import hashlib
import logging
import re
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from unearth import Link, PackageFinder
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import PyPIClient

from stepdown import store
from stepdown.assets.settings import IndexSettings

# unearth warns of each page that it skips; we tell of them in one sentence, and only if nothing is found.
logging.getLogger("unearth").addHandler(logging.NullHandler())
# The HTTP library under unearth has changed its name over time; its errors are where its client comes from.
_HTTP: Any = sys.modules[PyPIClient.__mro__[1].__module__.partition(".")[0]]
_BROKEN: tuple[type[Exception], ...] = (_HTTP.HTTPError, _HTTP.InvalidURL, ssl.SSLError)

PAUSES = (0.5, 1.0)  # seconds before the second and the third attempt
_CONNECT_SECONDS = 15.0  # a network that swallows packets is known as such sooner than a slow index
_BLOCK = 1 << 18
_LARGEST = 1 << 30

Trouble = Literal["unreachable", "altered", "absent"]


class SourceError(Exception):
    """A source did not deliver: `reason` in words, and the kind of `trouble`, from which advice follows."""

    def __init__(self, trouble: Trouble, reason: str) -> None:
        self.trouble = trouble
        self.reason = reason
        super().__init__(reason)


class _PassingError(Exception):
    """What may be over in a moment: a broken connection, a server that is busy."""


@dataclass(frozen=True)
class Source:
    """A place that lists packages."""

    kind: Literal["index", "find_links"]
    url: str

    @property
    def is_local(self) -> bool:
        """Whether no network is needed."""
        return "://" not in self.url or self.url.startswith("file:")

    @property
    def shown(self) -> str:
        """The URL as it may be printed."""
        return _without_password(self.url)


def sources(settings: IndexSettings) -> list[Source]:
    """All places in the order in which they are asked: local folders first, because they cost nothing."""
    links = [
        Source("find_links", url if "://" in url else str(Path(url).expanduser()))
        for url in settings.find_links
    ]
    indexes = [Source("index", url) for url in settings.indexes]
    return sorted([*links, *indexes], key=lambda source: not source.is_local)


class Session:
    """An HTTP client that remembers the last answer, because unearth passes over pages that it cannot get."""

    def __init__(self, client: Any, timeout: float) -> None:
        self.client = client
        self.timeout = timeout
        self.answers: list[int] = []
        client.event_hooks = {"response": [lambda response: self.answers.append(response.status_code)]}

    def find(self, source: Source, package: str, version: str, filename: str, sha256: str) -> list[Link]:
        """Links to the file at one source.

        Raises:
            SourceError: it cannot be reached, does not list the file, or lists another one under this name.
        """
        known: list[Any] = self._patiently(source.shown, lambda: self._listed(source, package, version))
        files = [found.link for found in known if found.link.filename == filename]
        same = [link for link in files if (link.hash_option or {}).get("sha256", [sha256]) == [sha256]]
        if same:
            return same
        if files:
            raise SourceError(
                "altered", f"{source.shown} lists a {filename} with another sha256 than expected"
            )
        raise self._absent(source, package, f"{version} as {filename}")

    def _listed(self, source: Source, package: str, version: str) -> list[Any]:
        self.answers.clear()
        # Compatibility with this Python is no matter, since nothing is installed.
        finder = PackageFinder(self.client, ignore_compatibility=True, **_location(source))
        found = list(finder.find_matches(f"{package}=={version}", allow_yanked=True, allow_prereleases=True))
        if not found and self.answers:
            _stop_if_busy(self.answers[-1])
        return found

    def _absent(self, source: Source, package: str, what: str) -> SourceError:
        status = self.answers[-1] if self.answers else None
        if status in (401, 403, 407):
            return SourceError(
                "unreachable", f"{source.shown} refused access ({status}): check your credentials"
            )
        if status is None and urlsplit(source.url).scheme == "http":
            return SourceError("unreachable", f"{source.shown} is neither https nor a trusted host")
        if status is not None and 400 <= status < 500:
            return SourceError("absent", f"{source.shown} has no package {package} ({status})")
        return SourceError("absent", f"{source.shown} has no {package} {what}")

    def download(
        self, link: Link, path: Path, sha256: str, progress: Callable[[int, int], None] | None
    ) -> None:
        """Put the file at `path`, if it is the expected one.

        Raises:
            SourceError: it cannot be had, or is another file; nothing is kept then.
            StoreError: the disk fails.
        """
        self._patiently(link.redacted, lambda: self._copy(link, path, sha256, progress))

    def _copy(self, link: Link, path: Path, sha256: str, progress: Callable[[int, int], None] | None) -> None:
        # A server that compresses on the way would give the archive other bytes than the expected ones.
        headers = {"Accept-Encoding": "identity"}
        with self.client.stream("GET", link.url_without_fragment, headers=headers) as response:
            _stop_if_busy(response.status_code)
            if response.status_code >= 400:
                raise SourceError("absent", f"{link.redacted} answered {response.status_code}")
            total = int(response.headers.get("Content-Length") or 0)
            summed, done = hashlib.sha256(), 0
            with store.write_file(path) as file:
                for block in response.iter_raw(_BLOCK):
                    file.write(block)
                    summed.update(block)
                    done += len(block)
                    if done > _LARGEST:
                        raise SourceError("altered", f"{link.redacted} is larger than {_LARGEST >> 20} MiB")
                    if progress is not None:
                        progress(done, max(done, total))
                if summed.hexdigest() != sha256:
                    found, expected = summed.hexdigest()[:12], sha256[:12]
                    told = f"sha256 {found}…, expected {expected}…"
                    raise SourceError("altered", f"{link.redacted} is not the expected file ({told})")

    def _patiently(self, shown: str, action: Callable[[], Any]) -> Any:
        """Do it again after a pause if what stops it may pass."""
        for pause in (*PAUSES, None):
            try:
                return action()
            except _PassingError as error:
                reason = f"{shown} {error}"
            except _HTTP.TimeoutException:
                reason = f"{shown} did not answer within {self.timeout:g} seconds"
            except _BROKEN as error:
                reason = f"{shown} could not be reached ({str(error) or type(error).__name__})"
            except (ValueError, OSError) as error:
                told = _without_password(f"{shown} cannot be read ({error})")
                raise SourceError("unreachable", told) from error
            if pause is None:
                raise SourceError("unreachable", _without_password(reason))
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


@contextmanager
def session(settings: IndexSettings, timeout: float | None = None) -> Iterator[Session]:
    """A session with the user's certificates, credentials and proxy; `timeout` in seconds overrides theirs.

    Raises:
        SourceError: a certificate that the settings name cannot be used.
    """
    seconds = settings.timeout if timeout is None else timeout
    options: dict[str, Any] = {"proxy": settings.proxy} if settings.proxy else {}
    if settings.cert or settings.client_cert:
        options["verify"] = _certificates(settings)
    try:
        client = PyPIClient(
            trusted_hosts=settings.trusted_hosts,
            timeout=(min(seconds, _CONNECT_SECONDS), seconds, seconds, seconds),
            follow_redirects=True,
            mounts=_to_trusted_hosts(settings),
            **options,
        )
    except (ValueError, ImportError, _HTTP.InvalidURL) as error:  # ImportError: a SOCKS proxy needs a package
        told = _without_password(f"the proxy or the hosts that the settings name are no use ({error})")
        raise SourceError("unreachable", told) from error
    with client:
        client.auth = MultiDomainBasicAuth(prompting=False, index_urls=settings.indexes)
        yield Session(client, seconds)


def _to_trusted_hosts(settings: IndexSettings) -> dict[str, Any]:
    """Connections to hosts whose certificates are not checked, through the proxy that all others go through.

    unearth's own would go past the proxy, and behind a company's proxy trusted hosts are the rule.
    """
    ways: dict[str, Any] = {}
    for host in settings.trusted_hosts:
        proxies = {} if urllib.request.proxy_bypass(host.partition(":")[0]) else urllib.request.getproxies()
        for scheme in ("http", "https"):
            proxy = settings.proxy or proxies.get(scheme) or proxies.get("all")
            ways[f"{scheme}://{host}"] = _HTTP.HTTPTransport(verify=False, proxy=proxy)
    return ways


def _certificates(settings: IndexSettings) -> ssl.SSLContext:
    try:
        if settings.cert and not Path(settings.cert).exists():
            raise FileNotFoundError(f"there is no {settings.cert}")
        folder = bool(settings.cert) and Path(settings.cert or "").is_dir()
        context = ssl.create_default_context(
            cafile=None if folder else settings.cert, capath=settings.cert if folder else None
        )
        if settings.client_cert:
            context.load_cert_chain(settings.client_cert)
    except OSError as error:  # SSLError is one
        raise SourceError(
            "unreachable", f"the certificates that pip's settings name are no use ({error})"
        ) from error
    return context


def _without_password(text: str) -> str:
    return re.sub(r"://[^/\s]*@", "://***@", text)


def _location(source: Source) -> dict[str, Any]:
    return {"index_urls": [source.url]} if source.kind == "index" else {"find_links": [source.url]}


def _stop_if_busy(status: int) -> None:
    if status >= 500 or status in (408, 429):
        raise _PassingError(f"answered {status}")
