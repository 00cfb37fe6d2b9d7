"""Data and models by name: a folder, a hub id, or a built-in. What is fetched is fetched once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stepdown.assets import builtin, hub
from stepdown.assets.builtin import BUILTINS, Builtin, cached, data, is_builtin
from stepdown.assets.hub import hub_name, is_hub_id
from stepdown.assets.versions import Progress, Versions, following
from stepdown.errors import ModelError

__all__ = [
    "BUILTINS",
    "Builtin",
    "Progress",
    "Versions",
    "cached",
    "data",
    "following",
    "hub_name",
    "is_builtin",
    "is_hub_id",
    "model",
    "tokenizer",
]


def model(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The folder of a model in Hugging Face's layout, wherever it comes from.

    Args:
        name_or_path: `demo:…`, a folder, or a hub id; a folder that is there comes before a hub id.
        revision: of a hub model: branch, tag or commit.
        progress: called with (bytes done, bytes in all) while a built-in is downloaded, the first time.

    Raises:
        ModelError: there is no such built-in, folder or hub model, or the folder holds no model.
        HubError: it must be fetched and cannot be.
        StoreError: the disk fails.
    """
    name = str(name_or_path)
    if builtin.is_builtin(name):
        return builtin.model(name, progress)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder)
    if folder.is_file():
        raise ModelError(
            f"{name} is a file: a model is a folder with a config.json, a hub id, or {_examples()}."
        )
    if is_hub_id(name):
        return hub.model_folder(name, revision)
    raise _nowhere(name)


def tokenizer(name: str, *, progress: Callable[[int, int], None] | None = None) -> Path:
    """The folder of a model's tokenizer, wherever it comes from; of a hub model the weights are not fetched.

    Args:
        name: `demo:…`, a folder, which needs to hold no model beside the tokenizer, or a hub id.
        progress: as for `model`.

    Raises:
        ModelError, HubError, StoreError: as `model`.
    """
    if builtin.is_builtin(name):
        return builtin.model(name, progress)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if not folder.exists() and is_hub_id(name):
        return hub.tokenizer_folder(name)
    raise _nowhere(name)


def _nowhere(name: str) -> ModelError:
    return ModelError(
        f"there is no folder {name}, and it cannot be a hub id either, which reads `model` or `owner/model`. "
        f"Check the path, or name a hub id or {_examples()}."
    )


def _checked(folder: Path) -> Path:
    if (folder / "config.json").is_file():
        return folder
    from stepdown.recipe.settings import is_pretrained  # with pydantic, which who runs a bundle need not have

    if is_pretrained(str(folder)):
        raise ModelError(
            f"{folder} holds a compact student that was pretrained and knows no task yet: expected a model of "
            "transformers. It can be a rung of `stepdown run`."
        )
    found = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(found[:8]) + (", …" if len(found) > 8 else "") or "nothing"
    raise ModelError(
        f"{folder} holds no model: a config.json was expected, as transformers' save_pretrained writes it; "
        f"found: {shown}."
    )


def _examples() -> str:
    names = [entry.name for entry in BUILTINS.values() if entry.kind == "model"]
    return f"a built-in ({', '.join(names)})"
