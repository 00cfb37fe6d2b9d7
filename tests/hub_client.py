"""Opens models and data of a hub, and sends some, in a process of its own, since the hub's client reads its settings
when imported.

Reads steps, each a line of JSON, and prints what became of each as a line of JSON.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from stepdown import assets, sharing
from stepdown.errors import StepdownError
from stepdown.sharing import upload


def opened(step: dict[str, Any]) -> dict[str, Any]:
    """What a step opens or sends: a model's folder, the splits of data, a parcel; with what was told on the way."""
    # A token is read at each request; all other settings are this process's own.
    os.environ.pop("HF_TOKEN", None)
    if step.get("token"):
        os.environ["HF_TOKEN"] = step["token"]
    told: list[list[Any]] = []
    with assets.following(step.get("known"), lambda *one: told.append(list(one))) as versions:
        if "push" in step:
            said = _push(step)
        elif "model" in step:
            said = {"folder": str(assets.model(step["model"], revision=step.get("revision")))}
        else:
            said = {"splits": _splits(step["data"])}
    return {**said, "taken": versions.taken, "moved": versions.moved, "told": told}


def _push(step: dict[str, Any]) -> dict[str, Any]:
    """What became of a parcel."""
    upload.PATIENCE = step.get("patience", 60.0)
    taken = sharing.parcel(Path(step["push"]))
    sharing.check(taken, step["to"])
    place = sharing.Place(step["to"], step.get("branch", "main"), step.get("private"))
    lines: list[str] = []
    options = {key: step[key] for key in ("create", "message") if key in step}
    found = sharing.push(taken, place, tell=lines.append, **options)
    return {**dataclasses.asdict(found), "url": found.place.url, "lines": lines}


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
