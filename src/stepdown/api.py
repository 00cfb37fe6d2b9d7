"""The Python way in: run a recipe, or distil from lists of texts and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown import examples, report, runs, store
from stepdown import recipe as recipes
from stepdown.errors import DataError, ModelError
from stepdown.examples import Label, Text
from stepdown.ladder.called import Scorer, name_of
from stepdown.recipe import Recipe, Scores
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
    return _run(recipe, Path(out) if out is not None else Path("runs") / recipe.name)


def distill(
    texts: Sequence[Text],
    labels: Sequence[Label] | None = None,
    *,
    teacher: str | Path | Sequence[str | Path] | Scorer = "demo:minilm-l6",
    student: int | str = 250_000,
    unlabeled: Sequence[Text] = (),
    views: int = 0,
    validation: tuple[Sequence[Text], Sequence[Label]] | None = None,
    task: TaskKind | None = None,
    label_names: Sequence[str] | None = None,
    scores: Scores | None = None,
    out: str | Path = "runs/distilled",
    seeds: int = 1,
) -> Run:
    """Distil a classifier from texts, one hop from the teacher to the student.

    Args:
        texts: n texts, or n pairs of them as tuples.
        labels: n labels, as they are to be predicted: a name or a number each; or a list of names each, empty where no
            label applies (multi-label); None for a text that has none yet. None in the place of the list where no text
            has any: then what is predicted are the labels of a teacher that is fine-tuned already, and what is measured
            is how far the student agrees with it, unless there is `validation`.
        teacher: hub id, folder or built-in; fine-tuned first when it has no head for the labels. A list of them makes
            their mean the teacher. Or any function from a list of texts (of tuples, for pairs) to an array of texts ×
            labels, the labels in the order of `label_names`, else sorted: probabilities or logits, or the numbers of a
            regression. It is asked once for each text, 256 of them at a time. Its answers are kept in `out`: taken up
            again there, a run does not ask it again, even if it has changed, as long as it is called the same.
        student: most parameters of a compact student, or a hub id, a folder or `teacher:N`.
        unlabeled: more texts of the same kind, or pairs, for the teacher to label.
        views: new texts made of each labelled one, for the teacher to label: what helps most where texts are few and
            there are no others; `stepdown init` proposes three for 15,000 texts and eight for 6,000.
        validation: other texts with their labels, to measure on; None to cut some from `texts`.
        task: what the labels make of it, if None: lists are multi-label, many different fractional numbers are to be
            predicted (regression), anything else is a class.
        label_names: of the labels, in their order; where they are numbers, or where there are none.
        scores: what a function answers with, "probabilities" or "logits"; if None, its first answers tell.
        out: the run's folder; the data is kept there too.
        seeds: students to train; the best on the selection split is packed.

    Raises:
        InputError: texts and labels do not fit together, a model cannot be used, or a function fails or answers with
            what is no answer.
        WorkError: as in `run`.
    """
    out = Path(out)
    content, columns = examples.written(texts, labels, unlabeled)
    files = {"source" if validation is None else "train": content}
    if validation is not None:
        files["validation"], measured = examples.written(*validation)
        if measured["text"] != columns["text"] or not measured["label"]:
            raise DataError("validation must be (texts, labels), its texts single ones or pairs as texts are")
        columns |= measured
    # Named by their content, so that a second call never changes what a run is reading.
    places = {key: out / "data" / f"{store.digest(lines)[:16]}.jsonl" for key, lines in files.items()}
    tops, scorer = _teachers(teacher)
    rung = {"model": "compact", "max_params": student} if isinstance(student, int) else {"model": student}
    said = {"task": task, "label_names": None if label_names is None else list(label_names)}
    described: dict[str, Any] = {
        "name": recipes.run_name(out.resolve().name),
        "data": {
            **{key: str(path.resolve()) for key, path in places.items()},
            **columns,
            **{key: value for key, value in said.items() if value is not None},
        },
        "teacher": {"model": tops, **({"scores": scores} if scores else {})},
        **({"transfer": {"views": views}} if views else {}),
        "rungs": [rung],
        "compare": {"arms": ["one-hop"], "seeds": seeds},
    }
    chosen = recipes.parse(described)
    for key, path in places.items():
        if not path.exists():
            store.write_text(path, files[key])
    return _run(chosen, out, scorer)


def _teachers(teacher: object) -> tuple[list[str], Scorer | None]:
    """What a recipe calls the teachers, and the function that the one teacher is, if it is one."""
    if callable(teacher):
        return [f"{recipes.CALLABLE}{name_of(teacher)}"], teacher
    several = teacher if isinstance(teacher, list | tuple) else [teacher]
    if not several or not all(isinstance(one, str | Path) for one in several):
        odd = next((type(one).__name__ for one in several if not isinstance(one, str | Path)), "none at all")
        raise ModelError(
            f"The teacher is {odd}; expected a hub id, a folder, a built-in, a list of these, or one function that "
            "gives scores for a list of texts."
        )
    return [str(one) for one in several], None


def _run(recipe: Recipe, folder: Path, scorer: Scorer | None = None) -> Run:
    context = runs.open_run(recipe, folder, scorer=scorer)
    results = runs.finished(context) or runs.work_through(context)
    return Run(results, folder / "bundle")
