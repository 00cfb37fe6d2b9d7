"""Models on disk: how a cell of a run keeps its model, and how it comes back."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file

from stepdown import tokens
from stepdown.errors import ModelError
from stepdown.recipe.settings import FAMILIES, Family
from stepdown.students import families, huggingface
from stepdown.students.bag import BagNetwork
from stepdown.students.compact import CompactNetwork
from stepdown.students.model import TextModel

_WEIGHTS = "model.safetensors"


def save(model: TextModel, folder: Path) -> None:
    """Write a model into an existing folder; a Hugging Face model in its true layout."""
    if model.kind == "huggingface":
        huggingface.save(model, folder)
        return
    assert isinstance(model.network, CompactNetwork | BagNetwork)
    about = {
        "kind": model.kind,
        **families.to_dict(model.network.shape),
        "task": model.task,
        "label_names": list(model.label_names),
        "max_length": model.max_length,
    }
    described = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    (folder / f"{model.kind}.json").write_text(described, encoding="utf-8")
    save_file(model.network.state_dict(), folder / _WEIGHTS)
    model.tokenizer.save(folder)


def load(folder: Path, *, max_length: int | None = None) -> TextModel:
    """Read a model that `save` wrote, or a Hugging Face classifier with a head of its own.

    Args:
        folder: of the model.
        max_length: most tokens of a text; None for what the folder says, which is what it was trained with.

    Raises:
        ModelError: the folder holds no such model, or it has no trained head.
    """
    family = family_in(folder)
    if family is None:
        found = huggingface.load(folder, max_length=max_length or _own_length(folder))
        if not found.has_head:
            raise ModelError(
                f"The model in {folder} has no trained classification head, so it cannot classify yet. "
                "Fine-tune it first: name it as the teacher of a recipe and `stepdown run` does that."
            )
        return found.model
    try:
        about = json.loads((folder / f"{family}.json").read_text(encoding="utf-8"))
        shape = families.from_dict(family, {**about, "classes": len(about["label_names"])})
        network = families.network(shape)
        network.load_state_dict(families.weights_as_named_now(load_file(folder / _WEIGHTS)))
    except Exception as error:  # damage shows in many ways
        raise ModelError(
            f"The model in {folder} is damaged ({type(error).__name__}): {family}.json and {_WEIGHTS} do not fit. "
            "Remove the folder, and run its recipe again."
        ) from error
    return TextModel(
        network.eval(),
        tokens.load(folder),
        tuple(about["label_names"]),
        about["max_length"],
        family,
        shape.describe(),
        task=about.get("task", "single-label"),  # students of old knew no other
        is_pair=shape.is_pair,
    )


def family_in(folder: Path) -> Family | None:
    """The family of the student that a folder holds, None where it holds another model or nothing."""
    return next((family for family in FAMILIES if (folder / f"{family}.json").is_file()), None)


# The longest that is taken where nobody says: what BERT's positions hold.
_LONGEST = 512


def _own_length(folder: Path) -> int:
    """Most tokens of a text, as the tokenizer's settings have it; some say "no limit" by an astronomic number."""
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        return min(_LONGEST, int(settings["model_max_length"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return _LONGEST


def size(folder: Path) -> int:
    """Bytes of a saved model, tokenizer included, without what a run keeps beside it."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
