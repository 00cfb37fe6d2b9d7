"""Opens models and data of a hub in a process of its own, since the hub's client reads its settings when imported.

Reads steps, each a line of JSON, and prints what became of each as a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from stepdown import assets
from stepdown.errors import StepdownError


def opened(step: dict[str, Any]) -> dict[str, Any]:
    """What a step opens: a model's folder, or the splits of data, with what was told and taken on the way."""
    # A token is read at each request; all other settings are this process's own.
    os.environ.pop("HF_TOKEN", None)
    if step.get("token"):
        os.environ["HF_TOKEN"] = step["token"]
    told: list[list[Any]] = []
    with assets.following(step.get("known"), lambda *one: told.append(list(one))) as versions:
        if "model" in step:
            said = {"folder": str(assets.model(step["model"], revision=step.get("revision")))}
        else:
            said = {"splits": _splits(step["data"])}
    return {**said, "taken": versions.taken, "moved": versions.moved, "told": told}


def _splits(source: str) -> dict[str, Any]:
    from stepdown.data import read

    found = read.open_source(source)
    return {
        split: {
            "columns": table.columns,
            "label_names": {column: list(names) for column, names in table.label_names.items()},
            "labels": sorted({label for block in table.blocks("label") for label in block.columns[0]}),
            "rows": sum(len(block.rows) for block in table.blocks("label")),
        }
        for split, table in found.tables.items()
    }


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            found = opened(json.loads(line))
        except StepdownError as error:
            found = {"error": type(error).__name__, "code": error.exit_code, "says": str(error)}
        print(json.dumps(found), flush=True)
    import huggingface_hub.constants

    assert huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY
