"""A repository of the Hugging Face hub: which commit of it is taken, and its files, fetched with patience.

The hub's own client does the work, into its own cache, which other tools share. It goes on with a download that
stalls or is cut, and asks again for a file that a busy server refuses; what it gives up at once is tried again here.
A file is in its cache whole or not at all.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

from stepdown import store
from stepdown.assets import versions
from stepdown.assets.progress import bars
from stepdown.assets.versions import Kind

# The client reads this when it is imported; `client` sees to the case that somebody imported it before us.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# And what moves large files for it would tell how that went.
os.environ["HF_XET_TELEMETRY_ENABLED"] = "false"

PAUSES = (0.5, 1.0, 2.0)  # seconds before each further attempt, if the hub does not say how long to wait
_LONGEST_PAUSE = 20.0  # that the hub may ask for; what takes longer is told instead
_WORTH_TELLING = 1_000_000  # bytes; what is smaller is there before anybody looks
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
# What the client asks for once and no more: descriptions, new repositories and branches, commits, a look at a card.
_ONCE = re.compile(r"/api/((models|datasets)/(?!.*/(tree|preupload)/)|(repos/create|validate-yaml)$)")
# And what it has sent several times already when it gives up.
_OFTEN = re.compile(r"^PUT |/preupload/|/info/lfs/")

T = TypeVar("T")


@dataclass(frozen=True)
class Head:
    """What the hub says of a repository.

    Attributes:
        commit: that the revision stands for.
        sizes: bytes of each file.
    """

    commit: str
    sizes: Mapping[str, int]


def client() -> Any:
    """The hub's client, with its telemetry off."""
    import huggingface_hub
    import huggingface_hub.constants
    import huggingface_hub.errors
    import huggingface_hub.utils

    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    return huggingface_hub


@contextmanager
def quiet() -> Iterator[None]:
    """Without what the client logs below an error: what matters of it is told in our own words."""
    chatter: Any = client().utils.logging  # its functions have no types
    level = chatter.get_verbosity()
    chatter.set_verbosity_error()
    try:
        yield
    finally:
        chatter.set_verbosity(level)


def ask(kind: Kind, hub_id: str, revision: str | None) -> Head:
    """What the hub has under a revision now; None for the main branch.

    Raises:
        Exception: whatever the client raises; `refusals.told` has words for it.
    """
    hub = client()
    timeout = hub.constants.HF_HUB_ETAG_TIMEOUT
    about = patiently(
        lambda: hub.HfApi().repo_info(
            hub_id, repo_type=kind, revision=revision, timeout=timeout, files_metadata=True
        )
    )
    return Head(about.sha, {file.rfilename: file.size or 0 for file in about.siblings or ()})


def head(kind: Kind, hub_id: str, revision: str | None) -> tuple[Head | None, Exception | None]:
    """As `ask`, of what a run takes: the commit that it took before, if it did; and the error in its place.

    The hub is not asked again where nobody answered before.
    """
    following = versions.current()
    hub = client()
    if following.unreachable or hub.constants.HF_HUB_OFFLINE:
        return None, hub.errors.OfflineModeIsEnabled("not asked")
    known = following.known.get(f"{kind} {hub_id}") if revision is None else None
    try:
        now = ask(kind, hub_id, revision)
        if known is None or known == now.commit:
            return now, None
        following.moved[f"{kind} {hub_id}"] = now.commit
        return ask(kind, hub_id, known), None
    except (OSError, ValueError, RuntimeError, hub.errors.HTTPError) as error:
        following.unreachable = _nobody_answers(error)
        return None, error


def snapshot(
    kind: Kind, hub_id: str, revision: str | None, patterns: Sequence[str], found: Head | None
) -> Path:
    """The folder of the files that match, in the client's cache.

    Args:
        kind, hub_id: of the repository.
        revision: branch, tag or commit; None for the main branch.
        patterns: of names, as the shell has them.
        found: what the hub said of this revision; None: the cache alone is asked.

    Raises:
        Exception: whatever the client raises; `refusals.told` has words for it.
        StoreError: the disk fails.
    """
    hub = client()
    place = Path(hub.constants.HF_HUB_CACHE)
    options: dict[str, Any] = {"repo_type": kind, "revision": revision, "allow_patterns": list(patterns)}
    if found is None:
        return Path(hub.snapshot_download(hub_id, local_files_only=True, **options))
    missing, progress = _missing(kind, hub_id, patterns, found), versions.current().progress

    def tell(done: int) -> None:
        if progress is not None and missing >= _WORTH_TELLING:
            progress(hub_id, min(done, missing), missing)

    if progress is not None or not missing:
        options["tqdm_class"] = bars(tell)  # else the client draws its own
    tell(0)
    with store.disk_failures(place):
        folder = Path(patiently(lambda: hub.snapshot_download(hub_id, **options)))
    tell(missing)
    return folder


def _missing(kind: Kind, hub_id: str, patterns: Sequence[str], found: Head) -> int:
    """Bytes of the files that match and are not in the cache yet."""
    hub = client()

    def is_there(name: str) -> bool:
        known = hub.try_to_load_from_cache(hub_id, name, repo_type=kind, revision=found.commit)
        return isinstance(known, str)

    wanted = {n: size for n, size in found.sizes.items() if any(fnmatch(n, pattern) for pattern in patterns)}
    return sum(size for name, size in wanted.items() if not is_there(name))


def patiently(action: Callable[[], T]) -> T:
    """Do it again after a pause, some times, if what stops it may pass and the client has not waited itself."""
    for pause in (*PAUSES, None):
        try:
            return action()
        except Exception as error:  # told apart below
            wait = None if pause is None else _wait(error, pause)
            if wait is None:
                raise
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _wait(error: Exception, pause: float) -> float | None:
    """Seconds to wait before another attempt; None if there is to be none."""
    # The client asks for a description once and no more; for a file it has asked several times when it wraps the error.
    wrapped = isinstance(error, client().errors.LocalEntryNotFoundError)
    cause = error.__cause__ if wrapped else error
    asked = _asked(cause)
    describes = _ONCE.search(asked) is not None
    if cause is None or (wrapped and not describes) or _OFTEN.search(asked):
        return None
    response = response_of(cause)
    if response is None:
        # A file's connection that was closed or stood still was tried again by the client, one that was reset was not.
        passing = {"ReadError", "WriteError"} | (
            {"ReadTimeout", "RemoteProtocolError"} if describes else set()
        )
        return pause if type(cause).__name__ in passing else None
    if response.status_code not in _PASSING:
        return None
    wait = asked_to_wait(response) or pause
    return wait if wait <= _LONGEST_PAUSE else None


def _asked(error: BaseException | None) -> str:
    """Method and address of the request that an error came of; nothing if that is not known."""
    response = response_of(error)
    request = getattr(error, "_request", None) if response is None else response.request
    return f"{request.method} {request.url}" if request is not None else ""


def response_of(error: BaseException | None) -> Any:
    """The hub's answer that an error, or the cause of it, is about; None if there was none."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return response
        error = error.__cause__
    return None


def asked_to_wait(response: Any) -> float | None:
    """Seconds that an answer asks to wait: by `Retry-After`, or by the time that is left in `RateLimit`."""
    headers = response.headers
    plain = re.fullmatch(r"\s*(\d+)\s*", headers.get("Retry-After", ""))
    rate = (
        re.search(r"\bt\s*=\s*(\d+)", headers.get("RateLimit", "")) if response.status_code == 429 else None
    )
    found = plain or rate
    return float(found[1]) if found else None


def _nobody_answers(error: Exception) -> bool:
    return type(error).__name__ in ("ConnectError", "ConnectTimeout", "ReadTimeout", "ProxyError")
