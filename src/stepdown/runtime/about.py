"""What a bundle says of itself: `bundle.json`, as a dataclass and as JSON. docs/bundle.md specifies it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from stepdown.errors import BundleError
from stepdown.runtime.files import LARGEST, MOST_FILES, check_name
from stepdown.runtime.long_texts import WAYS, LongTexts

FORMAT, VERSION = "stepdown-bundle", 1
_LONGEST_TEXT = 1 << 20
_MOST_LABELS = 100_000
_DIGEST = re.compile(rb'"digest": "([0-9a-f]{64})"')


@dataclass(frozen=True)
class Calibration:
    """What logits are divided by before softmax, and what that was fitted on.

    Attributes:
        temperature: above 0; 1 leaves the probabilities as the network gives them.
        split: the split it was fitted on; None where it was not fitted.
        n: examples of that split.
    """

    temperature: float = 1.0
    split: str | None = None
    n: int | None = None


@dataclass(frozen=True)
class Weights:
    """The network's file.

    Attributes:
        file: its name.
        format: "onnx", which runs here, or "safetensors", which needs torch.
        type: what its weights are stored as, "float32" or "int8"; either way it computes in float32.
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
        label_names: in the order of the logits.
        max_length: most ids of a text.
        long_texts: how texts that are longer than those it learnt from are read; None: like any other.
        tokenizer: `spec()` of the tokenizer: kind, files, normalisation.
        weights: the network's file.
        calibration: of the probabilities.
        parameters: trained numbers of the network.
        versions: of what made it, package by package.
        sources: what it was made from.
        created: ISO 8601, UTC.
    """

    label_names: tuple[str, ...]
    max_length: int
    tokenizer: Mapping[str, Any]
    weights: Weights = Weights()
    calibration: Calibration = Calibration()
    parameters: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    created: str | None = None
    long_texts: LongTexts | None = None


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
        "task": {"kind": "single-label", "label_names": list(about.label_names)},
        "max_length": about.max_length,
        "calibration": asdict(about.calibration),
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
    said = _parsed(content, where)
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
    task, weights, tokenizer = said.inner("task"), said.inner("weights"), said.inner("tokenizer")
    if (kind := task.text("kind")) != "single-label":
        raise BundleError(
            f"{where}: the task is {kind!r}; this version does single-label classification of one text."
        )
    promises = _promises(said.inner("files"))
    tokenizer.text("kind")
    needed = (weights.text("file"), *tokenizer.texts("files", 1))
    if missing := [name for name in needed if name not in promises]:
        raise BundleError(
            f"{where}: {', '.join(missing)} is needed but not among its files. Export it again."
        )
    about = About(
        label_names=task.texts("label_names", 2),
        max_length=said.whole("max_length", 1, _LONGEST_TEXT),
        tokenizer=tokenizer.value,
        weights=Weights(weights.text("file"), weights.text("format"), weights.text("type")),
        calibration=_calibration(said.inner("calibration")),
        parameters=said.whole_or_none("parameters", 0, 10**15),
        versions={name: said.inner("versions").text(name) for name in said.inner("versions").value},
        sources=tuple(
            Source(source.text("name"), source.text("role"), source.text("licence"))
            for source in said.inners("sources")
        ),
        created=said.text_or_none("created"),
        long_texts=_long_texts(said),
    )
    return about, promises


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check_version(said: _Said) -> None:
    if said.value.get("format") != FORMAT:
        raise said.fault("format", f'"{FORMAT}"')
    version = said.value.get("version")
    if version != VERSION or isinstance(version, bool):
        raise BundleError(
            f"{said.where} is of version {version!r} of the format; this stepdown reads version {VERSION}. "
            "Update it: pip install -U stepdown"
        )


def _promises(files: _Said) -> dict[str, Promise]:
    if len(files.value) > MOST_FILES:
        raise BundleError(f"{files.where} lists more than {MOST_FILES} files, so it is no bundle.")
    promises = {}
    for name in files.value:
        check_name(name, files.where)
        facts = files.inner(name)
        digest = facts.text("sha256")
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise facts.fault("sha256", "64 hexadecimal digits")
        promises[name] = Promise(facts.whole("bytes", 0, LARGEST), digest)
    return promises


def _calibration(said: _Said) -> Calibration:
    temperature = said.value.get("temperature")
    if not isinstance(temperature, int | float) or not 1e-3 <= temperature <= 1e3 or temperature is True:
        raise said.fault("temperature", "a number from 0.001 to 1000")
    return Calibration(float(temperature), said.text_or_none("split"), said.whole_or_none("n", 0, 10**15))


def _long_texts(said: _Said) -> LongTexts | None:
    if said.value.get("long_texts") is None:
        return None
    told = said.inner("long_texts")
    # No more: whether a text has more ids than are read is all that is known of it.
    above = told.whole("above", 1, said.whole("max_length", 1, _LONGEST_TEXT))
    way = next((way for way in WAYS if way == told.value.get("read")), None)
    if way is None:
        raise told.fault("read", f"one of {', '.join(WAYS)}, or a newer stepdown")
    return LongTexts(above, way)


def _parsed(content: bytes, where: str) -> _Said:
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where} is not the JSON of a bundle: {error}. Copy the bundle again.") from error
    if not isinstance(value, dict):
        raise BundleError(f"{where} must hold a JSON object. Copy the bundle again.")
    return _Said(value, where)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


@dataclass(frozen=True)
class _Said:
    """A JSON object and where it stands, so that every fault can be told with its place."""

    value: dict[str, Any]
    where: str

    def fault(self, key: str, expected: str) -> BundleError:
        if key not in self.value:
            return BundleError(f"{self.where} has no {key!r}; expected {expected}. Export the bundle again.")
        found = repr(self.value[key])
        found = found if len(found) <= 60 else found[:57] + "..."
        return BundleError(f"{self.where}: {key!r} is {found}; expected {expected}. Export the bundle again.")

    def inner(self, key: str) -> _Said:
        if not isinstance(self.value.get(key), dict):
            raise self.fault(key, "an object")
        return _Said(self.value[key], f"{self.where}: {key}")

    def inners(self, key: str) -> list[_Said]:
        values = self.value.get(key)
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.fault(key, "a list of objects")
        return [_Said(value, f"{self.where}: {key}.{index}") for index, value in enumerate(values)]

    def text(self, key: str) -> str:
        value = self.value.get(key)
        if not isinstance(value, str) or not _is_text(value):
            raise self.fault(key, "a text that is not empty")
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self.value.get(key) is None else self.text(key)

    def texts(self, key: str, least: int) -> tuple[str, ...]:
        values = self.value.get(key)
        if (
            not isinstance(values, list)
            or not all(isinstance(value, str) and _is_text(value) for value in values)
            or not least <= len(values) == len(set(values)) <= _MOST_LABELS
        ):
            raise self.fault(key, f"a list of {least} or more different texts, none empty")
        return tuple(values)

    def whole(self, key: str, low: int, high: int) -> int:
        value = self.value.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.fault(key, f"a whole number from {low:,} to {high:,}")
        return value

    def whole_or_none(self, key: str, low: int, high: int) -> int | None:
        return None if self.value.get(key) is None else self.whole(key, low, high)


def _is_text(value: str) -> bool:
    # JSON can spell half of a surrogate pair, which no file or terminal can be given.
    return value != "" and not re.search("[\ud800-\udfff]", value)
