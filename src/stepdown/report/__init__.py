"""Reports of a run, from the dict of its `results.json` alone.

Four ways to read the same: `terminal` (aligned text), `markdown`, `html` (one self-contained page) and `json`
(the document itself). `card` is the README of a bundle. What they say is decided once, in `content`. `loss_curve` is
the drawing of a pretraining.
"""

from __future__ import annotations

import json as _json
from collections.abc import Callable, Mapping
from typing import Any

from stepdown.report.card import Packed, card
from stepdown.report.html import html
from stepdown.report.loss_curve import loss_curve
from stepdown.report.markdown import markdown
from stepdown.report.metadata import Origin
from stepdown.report.terminal import terminal
from stepdown.results import Results, parse, to_dict

__all__ = ["FORMATS", "Origin", "Packed", "card", "html", "json", "loss_curve", "markdown", "terminal"]


def json(results: Mapping[str, Any] | Results) -> str:
    """The document itself, keys that this version does not know included.

    Raises:
        InputError: the dict does not follow the schema.
    """
    parse(results)
    plain = to_dict(results) if isinstance(results, Results) else results
    return _json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Mapping[str, Any] | Results], str]] = {
    "terminal": terminal,
    "markdown": markdown,
    "json": json,
    "html": html,
}
"""Name of a format → function that writes a report in it."""
