"""Models of the Hugging Face hub, fetched by its own client into its own cache, which other tools share.

Only weights, configuration and tokenizer are fetched; code that lies beside them is not. The client's
telemetry is off. A token, another hub and offline mode are told to the client as always: HF_TOKEN,
HF_ENDPOINT, HF_HUB_OFFLINE.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from stepdown import store
from stepdown.errors import HubError, InputError, ModelError

# The client reads this when it is imported; `_client` sees to the case that somebody imported it before us.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_LONGEST_ID = 96
_DESCRIPTION = [
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
]
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
        revision: branch, tag or commit; None for the main branch.

    Raises:
        ModelError: the hub has no such model or revision, or it is not a transformers model.
        HubError: the hub cannot be reached, or refuses access.
        StoreError: the disk fails.
    """
    folder = _snapshot(hub_id, revision, [*_DESCRIPTION, *_SAFETENSORS])
    if not any(folder.glob("model*.safetensors")):
        folder = _snapshot(hub_id, revision, [*_DESCRIPTION, *_TORCH])
        if not any(folder.glob("pytorch_model*.bin")):
            raise ModelError(
                f"{hub_id} has no weights that can be read here: model.safetensors or pytorch_model.bin was "
                "expected. Name another model, or convert it with transformers' save_pretrained."
            )
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{hub_id} has no config.json, so it is not a transformers model. Name another model."
        )
    return folder


def tokenizer_folder(hub_id: str) -> Path:
    """The folder of a hub model's description and tokenizer, without weights. Raises as `model_folder`."""
    return _snapshot(hub_id, None, _DESCRIPTION)


def _client() -> Any:
    import huggingface_hub
    import huggingface_hub.constants

    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    return huggingface_hub


def _snapshot(hub_id: str, revision: str | None, patterns: list[str]) -> Path:
    client = _client()
    place = Path(client.constants.HF_HUB_CACHE)
    try:
        with store.disk_failures(place):
            return Path(client.snapshot_download(hub_id, revision=revision, allow_patterns=patterns))
    except (OSError, ValueError, RuntimeError, client.errors.HTTPError) as error:
        raise _told(error, hub_id, revision, client.errors) from error


def _told(error: Exception, hub_id: str, revision: str | None, errors: Any) -> InputError | HubError:
    """The client's error in the user's words."""
    if isinstance(error, errors.GatedRepoError):
        return HubError(
            f"{hub_id} is gated: accept its terms on its page at the hub, set HF_TOKEN to a token of your "
            "account, and start again."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelError(
            f"{hub_id} is neither a folder here nor a model on the Hugging Face hub. Check the spelling; if "
            "it is private, set HF_TOKEN to a token that may read it."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(
            f"{hub_id} has no revision {revision!r} on the hub. Name a branch, a tag or a commit of it."
        )
    if isinstance(error, errors.HFValidationError):
        return ModelError(f"{hub_id!r} is not a valid hub id: `owner/model` was expected.")
    cause = error.__cause__ or error
    said = next(iter(str(cause).strip().splitlines()), "") or type(cause).__name__
    status = getattr(getattr(cause, "response", None), "status_code", None)
    if status in (401, 403):
        return HubError(
            f"the hub refused access to {hub_id} ({status}). Check the token in HF_TOKEN, and try again."
        )
    return HubError(
        f"{hub_id} is not a folder here, not in the hub's cache, and could not be fetched: {said}. It is "
        "fetched once and then kept. Connect to the network, or name a mirror in HF_ENDPOINT, and try again."
    )
