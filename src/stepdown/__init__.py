"""Progressive distillation of text classifiers: from a large model to the smallest one that does the job.

The names below are loaded when they are first used, so that importing stepdown costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stepdown.api import Run, distill, run
    from stepdown.errors import InputError, StepdownError, WorkError
    from stepdown.recipe import Recipe
    from stepdown.runtime import Classifier

_HOMES = {
    "Classifier": "stepdown.runtime",
    "InputError": "stepdown.errors",
    "Recipe": "stepdown.recipe",
    "Run": "stepdown.api",
    "StepdownError": "stepdown.errors",
    "WorkError": "stepdown.errors",
    "distill": "stepdown.api",
    "run": "stepdown.api",
}

__all__ = [
    "Classifier",
    "InputError",
    "Recipe",
    "Run",
    "StepdownError",
    "WorkError",
    "__version__",
    "distill",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stepdown' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
