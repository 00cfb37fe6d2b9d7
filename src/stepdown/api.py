"""The Python way in: run a recipe, or distil from lists of texts and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown import examples, report, runs, store
from stepdown import recipe as recipes
from stepdown.examples import Label, Text
from stepdown.recipe import Recipe
from stepdown.runtime import Classifier
from stepdown.tasks import TaskKind


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        results: the content of results.json.
        bundle: folder of the packed student.
    """

    results: dict[str, Any]
    bundle: Path

    def classifier(self) -> Classifier:
        """The student, ready to classify."""
        return Classifier.load(self.bundle)

    def table(self) -> str:
        """What the run found, as text."""
        return report.terminal(self.results)


def run(recipe: Recipe | Mapping[str, Any] | str | Path, out: str | Path | None = None) -> Run:
    """Run a recipe, or take up where an earlier sitting stopped.

    Args:
        recipe: a recipe, its content as a mapping, a file, or the name of a shipped one.
        out: the run's folder; `runs/NAME` if None.

    Raises:
        InputError: the recipe, its data or a model cannot be used.
        WorkError: a disk, a hub, or a lock that another run holds.
    """
    if isinstance(recipe, Mapping):
        recipe = recipes.parse(recipe)
    elif not isinstance(recipe, Recipe):
        recipe = recipes.load(recipe)
    folder = Path(out) if out is not None else Path("runs") / recipe.name
    context = runs.open_run(recipe, folder)
    results = runs.finished(context) or runs.work_through(context)
    return Run(results, folder / "bundle")


def distill(
    texts: Sequence[Text],
    labels: Sequence[Label],
    *,
    teacher: str | Path | Sequence[str | Path] = "demo:minilm-l6",
    student: int | str = 250_000,
    unlabeled: Sequence[Text] = (),
    task: TaskKind | None = None,
    out: str | Path = "runs/distilled",
    seeds: int = 1,
) -> Run:
    """Distil a classifier from labelled texts, one hop from the teacher to the student.

    Args:
        texts: n texts, or n pairs of them as tuples.
        labels: n labels, as they are to be predicted: a name or a number each; or a list of names each, empty where no
            label applies (multi-label); None for a text that has none yet.
        teacher: hub id, folder or built-in; fine-tuned first when it has no head for the labels. A list of them makes
            their mean the teacher.
        student: most parameters of a compact student, or a hub id, a folder or `teacher:N`.
        unlabeled: more texts of the same kind, or pairs, for the teacher to label.
        task: what the labels make of it, if None: lists are multi-label, many different fractional numbers are to be
            predicted (regression), anything else is a class.
        out: the run's folder; the data is kept there too.
        seeds: students to train; the best on the selection split is packed.

    Raises:
        InputError: texts and labels do not fit together, or a model cannot be used.
        WorkError: as in `run`.
    """
    content, columns = examples.written(texts, labels, unlabeled)
    # Named by its content, so that a second call never changes what a run is reading.
    data = Path(out) / "data" / f"{store.digest(content)[:16]}.jsonl"
    tops = [teacher] if isinstance(teacher, str | Path) else teacher
    rung = {"model": "compact", "max_params": student} if isinstance(student, int) else {"model": student}
    described = {
        "name": recipes.run_name(Path(out).resolve().name),
        "data": {"source": str(data.resolve()), **columns, **({"task": task} if task else {})},
        "teacher": {"model": [str(one) for one in tops]},
        "rungs": [rung],
        "compare": {"arms": ["one-hop"], "seeds": seeds},
    }
    chosen = recipes.parse(described)
    if not data.exists():
        store.write_text(data, content)
    return run(chosen, out)
