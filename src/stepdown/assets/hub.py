"""Models of the Hugging Face hub, fetched by its own client into its own cache, which other tools share.

Only weights, configuration and tokenizer are fetched; code that lies beside them is not. The client's
telemetry is off. A token, another hub and offline mode are told to the client as always: HF_TOKEN,
HF_ENDPOINT, HF_HUB_OFFLINE.
"""

from __future__ import annotations

import re
from pathlib import Path

from stepdown.assets import refusals, repositories, versions
from stepdown.errors import ModelError, StepdownError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_LONGEST_ID = 96
DESCRIPTION = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",  # SentencePiece
    "README.md",  # states the licence
)
"""What describes a model in Hugging Face's layout, its tokenizer among it: patterns of file names."""

_SAFETENSORS = ["model*.safetensors", "model.safetensors.index.json"]
_TORCH = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]


def is_hub_id(name: str) -> bool:
    """Whether a name could be a hub id, `model` or `owner/model`; only the hub knows whether it has it."""
    return (
        _HUB_ID.fullmatch(name) is not None
        and len(name) <= _LONGEST_ID
        and not any(part in name for part in ("..", "--"))
        and not name.endswith((".", "-", ".git"))
    )


def model_folder(hub_id: str, revision: str | None = None) -> Path:
    """The folder of a hub model in the hub client's cache; offline if it is there already.

    Weights in safetensors are preferred; PyTorch's own format is fetched only where there are none.

    Args:
        hub_id: `model` or `owner/model`.
        revision: branch, tag or commit; None for the main branch, or for the commit that `versions` knows.

    Raises:
        ModelError: the hub has no such model or revision, or it is not a transformers model.
        HubError: the hub cannot be reached, or refuses access.
        StoreError: the disk fails.
    """
    folder = _folder(hub_id, revision)
    if not any(folder.glob("model*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        raise ModelError(
            f"{hub_id} has no weights that can be read here: model.safetensors or pytorch_model.bin was "
            "expected. Name another model, or convert it with transformers' save_pretrained."
        )
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{hub_id} has no config.json, so it is not a transformers model. Name another model."
        )
    versions.current().taken[f"model {hub_id}"] = folder.name
    return folder


def tokenizer_folder(hub_id: str) -> Path:
    """The folder of a hub model's description and tokenizer, without weights. Raises as `model_folder`."""
    found, refusal = repositories.head("model", hub_id, None)
    known = versions.current().known.get(f"model {hub_id}")
    try:
        return repositories.snapshot("model", hub_id, known, DESCRIPTION, found)
    except StepdownError:
        raise
    except Exception as error:  # of the client, its transport and the file system
        raise refusals.told(refusal or error, "model", hub_id, None) from error


def _folder(hub_id: str, revision: str | None) -> Path:
    """The folder with whatever of a model there is."""
    found, refusal = repositories.head("model", hub_id, revision)
    if found is not None and "bundle.json" in found.sizes and "config.json" not in found.sizes:
        name = hub_id.rpartition("/")[2]
        raise ModelError(
            f"{hub_id} is a bundle of stepdown, which is fetched once and then named by its folder: "
            f"hf download {hub_id} --local-dir {name}"
        )
    known = versions.current().known.get(f"model {hub_id}")
    try:
        folder = repositories.snapshot(
            "model", hub_id, revision or known, [*DESCRIPTION, *_SAFETENSORS], found
        )
        if any(folder.glob("model*.safetensors")):
            return folder
        # Of the same commit, should the branch move meanwhile.
        return repositories.snapshot("model", hub_id, folder.name, [*DESCRIPTION, *_TORCH], found)
    except StepdownError:
        raise
    except Exception as error:  # of the client, its transport and the file system
        raise refusals.told(refusal or error, "model", hub_id, revision) from error


def hub_name(folder: Path) -> str | None:
    """The hub id of a folder in the hub client's cache; None for any other folder."""
    repository = folder.parent.parent.name
    if folder.parent.name != "snapshots" or not repository.startswith("models--"):
        return None
    return repository.removeprefix("models--").replace("--", "/")
