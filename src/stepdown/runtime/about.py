"""What a bundle says of itself: `bundle.json`, as a dataclass and as JSON. docs/bundle.md specifies it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from stepdown.errors import BundleError, shown
from stepdown.outputs import UNCALIBRATED, Calibration
from stepdown.runtime.files import LARGEST, LARGEST_TEXT, MOST_FILES, check_name
from stepdown.runtime.long_texts import WAYS, LongTexts
from stepdown.runtime.said import Said, parsed
from stepdown.tasks import TASK_KINDS, TaskKind

FORMAT, VERSION = "stepdown-bundle", 1
_LONGEST_TEXT = 1 << 20
_FEWEST_LABELS: dict[TaskKind, int] = {"single-label": 2, "multi-label": 1, "regression": 1}
_DIGEST = re.compile(rb'"digest": "([0-9a-f]{64})"')


WeightType = Literal["float32", "int8", "int4"]
WEIGHT_TYPES: tuple[WeightType, ...] = get_args(WeightType)


@dataclass(frozen=True)
class Weights:
    """The network's file.

    Attributes:
        file: its name.
        format: "onnx", which runs here, or "safetensors", which needs torch.
        type: what its weights are stored as, a `WeightType`; it computes in float32 whatever that is.
    """

    file: str = "model.onnx"
    format: str = "onnx"
    type: str = "float32"


@dataclass(frozen=True)
class Source:
    """What it was made from: a name, a role ("teacher", "data", …), an SPDX licence or "not stated"."""

    name: str
    role: str
    licence: str = "not stated"


@dataclass(frozen=True)
class About:
    """What a bundle says of itself, but for the checksums.

    Attributes:
        label_names: in the order of the outputs; of a regression the one name of what it predicts.
        max_length: most ids of a text.
        long_texts: how texts that are longer than those it learnt from are read; None: like any other.
        tokenizer: `spec()` of the tokenizer: kind, files, normalisation.
        weights: the network's file.
        calibration: of the probabilities.
        parameters: trained numbers of the network.
        versions: of what made it, package by package.
        sources: what it was made from.
        created: ISO 8601, UTC.
        task: what the outputs are.
        is_pair: it reads pairs of texts.
    """

    label_names: tuple[str, ...]
    max_length: int
    tokenizer: Mapping[str, Any]
    weights: Weights = Weights()
    calibration: Calibration = UNCALIBRATED
    parameters: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    created: str | None = None
    long_texts: LongTexts | None = None
    task: TaskKind = "single-label"
    is_pair: bool = False


@dataclass(frozen=True)
class Promise:
    """Size and checksum that a file must have."""

    size: int
    sha256: str


def encode(about: About, files: Mapping[str, bytes]) -> bytes:
    """The content of `bundle.json` for these files, its own digest included.

    Raises:
        BundleError: something in it would not be read again.
    """
    document = {
        "format": FORMAT,
        "version": VERSION,
        "digest": "0" * 64,
        "task": {
            "kind": about.task,
            "texts": 2 if about.is_pair else 1,
            "label_names": list(about.label_names),
        },
        "max_length": about.max_length,
        "calibration": _calibration_told(about),
        "tokenizer": dict(about.tokenizer),
        "weights": asdict(about.weights),
        "files": {
            name: {"bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()}
            for name, part in files.items()
        },
        "parameters": about.parameters,
        "versions": dict(about.versions),
        "sources": [asdict(source) for source in about.sources],
        "created": about.created,
    }
    if about.long_texts:
        document["long_texts"] = asdict(about.long_texts)
    try:
        content = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError as error:
        raise BundleError(f"A bundle's text is not valid Unicode: {error.reason}.") from error
    content = content.replace(b"0" * 64, _digest(content).encode(), 1)
    decode(content, "The new bundle")
    return content


def decode(content: bytes, where: str) -> tuple[About, dict[str, Promise]]:
    """Read and check the content of a `bundle.json`; unknown keys are left to later versions.

    Args:
        content: of the file.
        where: names it in errors.

    Returns:
        what it says, and what it promises of each file.

    Raises:
        BundleError: it is damaged, of another version, or says what cannot be.
    """
    said = parsed(content, where)
    _check_version(said)
    # After the version: another one may keep its digest elsewhere.
    found = _DIGEST.findall(content)
    if len(found) != 1 or found[0].decode() != _digest(
        _DIGEST.sub(b'"digest": "' + b"0" * 64 + b'"', content)
    ):
        raise BundleError(
            f"{where} was changed after it was written: its digest does not match. Copy the bundle again; "
            "to change what it says, export it again."
        )
    weights, tokenizer = said.inner("weights"), said.inner("tokenizer")
    kind, is_pair, label_names = _task(said.inner("task"))
    promises = _promises(said.inner("files"), weights.text("file"))
    tokenizer.text("kind")
    needed = (weights.text("file"), *tokenizer.texts("files", 1))
    if missing := [name for name in needed if name not in promises]:
        raise BundleError(
            f"{where}: {', '.join(map(shown, missing))} is needed but not among its files. Export it again."
        )
    about = About(
        label_names=label_names,
        max_length=said.whole("max_length", 1, _LONGEST_TEXT),
        tokenizer=tokenizer.value,
        weights=Weights(weights.text("file"), weights.text("format"), weights.text("type")),
        calibration=_calibration(said, kind, len(label_names)),
        parameters=said.whole_or_none("parameters", 0, 10**15),
        versions={name: said.inner("versions").text(name) for name in said.inner("versions").value},
        sources=tuple(
            Source(source.text("name"), source.text("role"), source.text("licence"))
            for source in said.inners("sources")
        ),
        created=said.text_or_none("created"),
        long_texts=_long_texts(said, is_pair),
        task=kind,
        is_pair=is_pair,
    )
    return about, promises


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check_version(said: Said) -> None:
    if said.value.get("format") != FORMAT:
        raise said.fault("format", f'"{FORMAT}"')
    version = said.value.get("version")
    if version != VERSION or type(version) is not int:
        raise BundleError(
            f"{said.where} is of version {shown(version)} of the format; this stepdown reads version {VERSION}. "
            "Update it: pip install -U stepdown"
        )


def _promises(files: Said, weights: str) -> dict[str, Promise]:
    if len(files.value) > MOST_FILES:
        raise BundleError(f"{files.where} lists more than {MOST_FILES} files, so it is no bundle.")
    promises = {}
    for name in files.value:
        check_name(name, files.where)
        facts = files.inner(name)
        digest = facts.text("sha256")
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise facts.fault("sha256", "64 hexadecimal digits")
        largest = LARGEST if name == weights else LARGEST_TEXT
        promises[name] = Promise(facts.whole("bytes", 0, largest), digest)
    return promises


def _task(said: Said) -> tuple[TaskKind, bool, tuple[str, ...]]:
    """Its kind, whether it reads pairs, and the names of its labels."""
    kind = next((kind for kind in TASK_KINDS if kind == said.value.get("kind")), None)
    if kind is None:
        raise said.fault("kind", f"one of {', '.join(TASK_KINDS)}, or a newer stepdown")
    is_pair = "texts" in said.value and said.whole("texts", 1, 2) == 2
    names = said.texts("label_names", _FEWEST_LABELS[kind])
    if kind == "regression" and len(names) > 1:
        raise said.fault("label_names", "one name, of the number that is predicted")
    return kind, is_pair, names


def _calibration_told(about: About) -> dict[str, Any] | None:
    """None where there is nothing to tell: a regression has no probabilities."""
    if about.task == "regression" and about.calibration == UNCALIBRATED:
        return None
    told = asdict(about.calibration)
    if about.calibration.thresholds is None:
        del told["thresholds"]
    return told


def _calibration(said: Said, kind: TaskKind, labels: int) -> Calibration:
    if kind == "regression":
        if said.value.get("calibration") is not None:
            raise said.fault("calibration", "none, for a regression has no probabilities")
        return UNCALIBRATED
    told = said.inner("calibration")
    if kind == "single-label" and told.value.get("thresholds") is not None:
        raise told.fault("thresholds", "none, for the most probable label is the answer")
    return Calibration(
        told.number("temperature", 1e-3, 1e3),
        told.text_or_none("split"),
        told.whole_or_none("n", 0, 10**15),
        told.numbers_or_none("thresholds", labels, 0, 1),
    )


def _long_texts(said: Said, is_pair: bool) -> LongTexts | None:
    if said.value.get("long_texts") is None:
        return None
    if is_pair:
        raise said.fault("long_texts", "none, for pairs of texts are not read by their sentences")
    told = said.inner("long_texts")
    # No more: whether a text has more ids than are read is all that is known of it.
    above = told.whole("above", 1, said.whole("max_length", 1, _LONGEST_TEXT))
    way = next((way for way in WAYS if way == told.value.get("read")), None)
    if way is None:
        raise told.fault("read", f"one of {', '.join(WAYS)}, or a newer stepdown")
    return LongTexts(above, way)
