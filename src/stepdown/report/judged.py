"""By what models are measured, in words: by labels, or where there are none by their teacher."""

from __future__ import annotations

from stepdown.evaluate import TITLES
from stepdown.recipe import LABELS
from stepdown.results import Results


def by_teacher(results: Results) -> bool:
    """Whether results are told by likeness to the teacher, for lack of labels."""
    return results.data.judged_by.get("report") == "teacher"


def is_absent(results: Results) -> bool:
    """Whether the teacher was not at hand, and all that is known of it stood in the data."""
    models = (results.recipe.get("teacher") or {}).get("model") or ()
    return (models if isinstance(models, str) else next(iter(models), "")).startswith(LABELS)


def title(results: Results) -> str:
    """What people call the primary metric."""
    if by_teacher(results) and results.metric == "pearson":
        return "Pearson's correlation with the teacher's numbers"
    return TITLES[results.metric]


def missing(results: Results) -> tuple[str, ...]:
    """What could not be measured, or could not be run, for lack of labels or of a teacher that is at hand."""
    data, found = results.data, []
    if by_teacher(results):
        found.append(
            "No report text has a label: all that is measured is how like the teacher the students are, and not how "
            "often they, or it, are right. Labelled texts, named as data.test or data.validation, would tell."
        )
    elif data.judged_by.get("selection") == "teacher":
        found.append(
            "No selection text has a label: of the students the one that agrees best with the teacher there was packed."
        )
    if data.labelled == 0 and "direct" in (results.recipe.get("compare") or {}).get("arms", ()):
        found.append("direct was left out: no training text has a label to learn from.")
    teacher = results.cells[0] if results.cells else None
    if teacher and not by_teacher(results) and results.metric not in teacher.metrics:
        found.append(
            "The teacher said nothing of the report texts, so it is not measured: nothing is known of how far the "
            "students are from it there."
        )
    return tuple(found)


def begun(results: Results) -> tuple[str, ...]:
    """What the models of the rungs began with, a sentence for each that is worth one."""
    notes = dict.fromkeys(note for cell in results.cells if cell.kind == "rung" for note in cell.notes)
    return tuple(f"{note[0].upper()}{note[1:].rstrip('.')}." for note in notes)
