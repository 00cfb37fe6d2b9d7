"""What is sent: the files of a bundle, of a run's bundle, or of a model in Hugging Face's layout, and no others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from stepdown.assets.hub import DESCRIPTION
from stepdown.errors import InputError, ModelError
from stepdown.runtime import bundle, files, shipped

Kind = Literal["bundle", "model"]

CARD = bundle.CARD
_CONFIG = "config.json"
# What transformers reads of a model's folder; what a run, or a trainer, keeps beside it is nobody else's.
_OF_A_MODEL = (
    *DESCRIPTION,
    "LICENSE",
    "model.safetensors",
    "model-*.safetensors",
    "model.safetensors.index.json",
)
_FAMILIES = ("compact.json", "bag.json")


@dataclass(frozen=True)
class Parcel:
    """What is sent.

    Attributes:
        source: where it was found.
        kind: of the model.
        files: name → content, or where it is.
        left_out: names beside them that stay here.
    """

    source: Path
    kind: Kind
    files: Mapping[str, bytes | Path]
    left_out: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {
            name: len(content) if isinstance(content, bytes) else content.stat().st_size
            for name, content in self.files.items()
        }

    def text(self, name: str) -> str:
        """The text of a file; empty where there is none of that name."""
        content = self.files.get(name, b"")
        whole = content if isinstance(content, bytes) else content.read_bytes()
        return whole.decode("utf-8", "replace")


def parcel(source: str | Path) -> Parcel:
    """What would be sent of a source.

    Args:
        source: a bundle's folder or `.stepdown` file, the name of a shipped one, the folder of a finished run, which
            stands for its bundle, or the folder of a model in Hugging Face's layout.

    Raises:
        BundleError: the bundle is damaged, or not to be trusted.
        ModelError: the folder's model is not whole, or of a kind that cannot be sent.
        InputError: it is nothing that can be sent.
    """
    path = shipped.find(source) if isinstance(source, str) else source
    if path.is_dir() and not (path / files.ABOUT).exists():
        if (path / "recipe.toml").is_file() or (path / "cells").is_dir():
            return _of_bundle(_of_run(path))
        if (path / _CONFIG).is_file():
            return _of_model(path)
        if any((path / name).is_file() for name in _FAMILIES):
            raise ModelError(
                f"{path} is a student as a run keeps it, and no other tool reads it. Send a bundle of it: "
                f"stepdown export RUN --cell {path.resolve().name}"
            )
    if not path.exists():
        raise InputError(
            f"There is no {path}. Name a bundle, a run's folder, or the folder of a model as `stepdown export --format "
            "native` writes it."
        )
    return _of_bundle(path)


def _of_run(path: Path) -> Path:
    if not (path / "results.json").is_file() or not (path / "bundle").is_dir():
        raise InputError(
            f"The run in {path} is not finished, so it has no bundle. Finish it: stepdown run RECIPE"
        )
    return path / "bundle"


def _of_bundle(path: Path) -> Parcel:
    held = bundle.read(path)
    with files.opened(path) as packed:
        about = packed.read(files.ABOUT, packed.size(files.ABOUT))
    sent = {files.ABOUT: about, **held.files}
    beside = {entry.name for entry in path.iterdir()} - sent.keys() if path.is_dir() else set()
    return Parcel(path, "bundle", _sorted(sent), tuple(sorted(beside)))


def _of_model(path: Path) -> Parcel:
    found = {entry.name: entry for entry in path.iterdir()}
    sent = {
        name: entry
        for name, entry in found.items()
        if entry.is_file() and any(fnmatch(name, pattern) for pattern in _OF_A_MODEL)
    }
    _check_model(path, sent)
    return Parcel(path, "model", _sorted(sent), tuple(sorted(found.keys() - sent.keys())))


def _check_model(path: Path, sent: Mapping[str, Path]) -> None:
    """Raises ModelError unless configuration and weights can be read."""
    from safetensors import SafetensorError, safe_open

    weights = [name for name in sent if name.endswith(".safetensors")]
    if not weights:
        raise ModelError(
            f"{path} has no model.safetensors. Weights as a pickle are not sent, for reading one may run code: save "
            "the model with transformers' save_pretrained."
        )
    what = _CONFIG
    try:
        about = json.loads(sent[_CONFIG].read_bytes())
        if not isinstance(about, dict) or "model_type" not in about:
            raise ValueError("it names no model_type")
        for what in weights:
            with safe_open(sent[what], "numpy") as held:
                held.keys()
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path / what} is damaged: {error}. Export or save the model again.") from error


def _sorted(sent: Mapping[str, bytes | Path]) -> Mapping[str, bytes | Path]:
    return MappingProxyType(dict(sorted(sent.items())))
