"""Ready soft labels: read from the user's columns, understood, and found by text."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown import data, store, transfer
from stepdown.data import Dataset, FromTeacher, Wanted
from stepdown.errors import DataError
from stepdown.recipe import DataSpec, TransferSpec

DRAW = np.random.default_rng(0)
WORDS = [f"w{index}" for index in range(3000)]
NAMES = ("no", "yes")


def texts(count: int) -> list[str]:
    """Texts of random words, which share no runs."""
    return [" ".join(DRAW.choice(WORDS, 9)) for _ in range(count)]


def rows(count: int = 100, labels: Sequence[object] = NAMES) -> list[dict[str, Any]]:
    """Texts with the labels in turn, and probabilities p_no, p_yes that tell the rows apart."""
    found = []
    for at, text in enumerate(texts(count)):
        p = 0.1 + 0.8 * at / count
        found.append({"text": text, "label": labels[at % len(labels)], "p_no": 1 - p, "p_yes": p})
    return found


def jsonl(path: Path, content: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return path


def load(path: Path, columns: Sequence[str] = ("p_no", "p_yes"), form: Any = None, **spec: Any) -> Dataset:
    named = {"source": str(path), "text": ("text",), "label": ("label",)} | spec
    return data.load(DataSpec(**named), 0, FromTeacher(Wanted(tuple(columns), form)))


def said(dataset: Dataset, some: Sequence[str], spec: TransferSpec | None = None) -> np.ndarray:
    """What the soft labels say of texts, once they are complete."""
    transfer.build(dataset, spec)
    assert dataset.soft is not None
    return dataset.soft.of(some)


def notes(dataset: Dataset) -> str:
    return " ".join(dataset.facts.notes)


# --- how they are written -----------------------------------------------------------------------------------------


def written(path: Path, form: str) -> tuple[Path, tuple[str, ...]]:
    """The same scores in another form; the columns to ask for."""
    content = rows()
    pairs = [(row.pop("p_no"), row.pop("p_yes")) for row in content]
    if form == "columns":
        return jsonl(path, [row | {"a": p, "b": q} for row, (p, q) in zip(content, pairs, strict=True)]), (
            "a",
            "b",
        )
    if form == "by name":
        named = [row | {"YES": q, "No": p} for row, (p, q) in zip(content, pairs, strict=True)]
        return jsonl(path, named), ("YES", "No")
    if form == "pattern":
        named = [row | {"score_yes": q, "score_no": p} for row, (p, q) in zip(content, pairs, strict=True)]
        return jsonl(path, named), ("score_*",)
    if form == "one column":
        return jsonl(path, [row | {"p": q} for row, (_, q) in zip(content, pairs, strict=True)]), ("p",)
    if form == "one column of the first":
        return jsonl(path, [row | {"no": p} for row, (p, _) in zip(content, pairs, strict=True)]), ("no",)
    if form == "tables":
        held = [row | {"scores": {"yes": q, "no": p}} for row, (p, q) in zip(content, pairs, strict=True)]
        return jsonl(path, held), ("scores",)
    if form == "lists":
        return jsonl(path, [row | {"s": list(pair)} for row, pair in zip(content, pairs, strict=True)]), (
            "s",
        )
    path = path.with_suffix(".parquet" if form == "parquet" else ".csv")
    if form == "parquet":
        columns = {key: [row[key] for row in content] for key in ("text", "label")}
        pq.write_table(pa.table({**columns, "s": [list(pair) for pair in pairs]}), path)
        return path, ("s",)
    cell = {"csv": json.dumps, "numpy": lambda pair: f"[{pair[0]} {pair[1]}]"}[form]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [
                ["text", "label", "s"],
                *([row["text"], row["label"], cell(pair)] for row, pair in zip(content, pairs, strict=True)),
            ]
        )
    return path, ("s",)


@pytest.mark.parametrize(
    "form",
    [
        "columns",
        "by name",
        "pattern",
        "one column",
        "one column of the first",
        "tables",
        "lists",
        "parquet",
        "csv",
        "numpy",
    ],
)
def test_scores_are_the_same_however_they_are_written(form: str, tmp_path: Path) -> None:
    path, columns = written(tmp_path / "a.jsonl", form)
    found = load(path, columns)
    assert "probabilities" in notes(found)
    some = [*found.train.texts, *found.selection.texts, *found.report.texts]
    logits = said(found, some).astype(np.float64)
    p = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    assert sorted(p.round(6)) == sorted((0.1 + 0.8 * np.arange(100) / 100).round(6))


def test_logits_are_taken_as_they_are(tmp_path: Path) -> None:
    content = [row | {"a": at * 0.1 - 5, "b": 7.0 - at} for at, row in enumerate(rows())]
    found = load(jsonl(tmp_path / "a.jsonl", content), ("a", "b"))
    assert "logits (they run from -92 to 7)" in notes(found)
    assert "in the order of the labels: 'a' is 'no', 'b' is 'yes'" in notes(found)
    expected = [(row["a"], row["b"]) for row in content]
    assert np.allclose(said(found, [row["text"] for row in content]), expected, atol=1e-5)
    forced = load(jsonl(tmp_path / "b.jsonl", rows()), form="logits")
    assert said(forced, forced.train.texts).max() <= 1


def test_probabilities_that_do_not_sum_to_1_are_told(tmp_path: Path) -> None:
    content = rows()
    content[0] |= {"p_no": 0.2, "p_yes": 0.2}
    content[1] |= {"p_no": 0.0, "p_yes": 0.0}
    found = load(jsonl(tmp_path / "a.jsonl", content))
    assert "the probabilities of 2 of 100 texts do not sum to 1 (but to 0 to 1)" in notes(found)
    assert "1 of them are 0 throughout and count as none" in notes(found)
    assert found.facts.removed.unscored == 1
    logits = said(found, [content[0]["text"], content[1]["text"]])
    assert logits[0, 0] == logits[0, 1]
    assert np.isnan(logits[1]).all()


def test_several_labels_have_a_probability_each(tmp_path: Path) -> None:
    content = rows(labels=[["a"], ["a", "b"], []])
    for row in content:
        row["scores"] = {"b": 1.0, "a": 0.25}
    found = load(jsonl(tmp_path / "a.jsonl", content), ("scores",))
    logits = said(found, found.train.texts)
    assert np.allclose(logits[:, 0], np.log(1 / 3), atol=1e-5)
    assert (logits[:, 1] > 15).all()
    assert np.isfinite(logits).all()


def test_numbers_are_taken_as_they_are(tmp_path: Path) -> None:
    content = [row | {"label": at / 8, "guess": at * 10.0} for at, row in enumerate(rows())]
    found = load(jsonl(tmp_path / "a.jsonl", content), ("guess",))
    assert found.task.kind == "regression"
    assert said(found, [content[3]["text"]]).tolist() == [[30.0]]
    with pytest.raises(DataError, match="scores = 'logits' is for labels; numbers are taken as they are"):
        load(tmp_path / "a.jsonl", ("guess",), "logits")
    with pytest.raises(DataError, match="there are 2 scores for a text, but one number is predicted"):
        load(tmp_path / "a.jsonl", ("guess", "p_no"))


# --- what does not fit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "columns", "form", "expected"),
    [
        ({}, ("p_no", "p_yess"), None, r"no column 'p_yess' with scores of the teacher.* Did you mean 'p_yes'\?"),
        ({}, ("q_*",), None, r"no column fits 'q_\*', by which scores"),
        ({}, ("p_no", "p_yes", "label2"), None, "no column 'label2' with scores"),
        ({"c": 0.1}, ("p_no", "p_yes", "c"), None, r"there are 3 scores for a text, and 2 labels \('no', 'yes'\)"),
        ({"no": 0.1, "maybe": 0.9}, ("no", "maybe"), None, "some of them alike, others not"),
        ({"p_yes": "high"}, ("p_no", "p_yes"), None, "row 1: 'p_yes' holds 'high', expected a score of the teacher"),
        ({"p_yes": float("inf")}, ("p_no", "p_yes"), None, "row 1: 'p_yes' holds inf, expected a finite score"),
        ({"p_no": 30.0, "p_yes": 70.0}, ("p_no", "p_yes"), None, "no probabilities, as they run from .* Divide perc"),
        ({"p_no": 2.0}, ("p_no", "p_yes"), "probabilities", "2 is no probability, which the scores are taken for"),
        ({"s": [0.1, 0.2, 0.7]}, ("s",), None, "row 2: 's' holds 2 scores, expected 3 as in the rows before"),
        ({"s": {"no": 0.1, "yes": 0.9}}, ("s",), None, r"row 2: 's' holds '\[0.5, 0.5\]', expected a table"),
        ({"s": "[0.1; 0.9"}, ("s",), None, r"row 1: 's' holds '\[0.1; 0.9', expected scores as JSON"),
        ({"s": []}, ("s",), None, "row 1: 's' is empty, expected a score for each label"),
    ],
)  # fmt: skip
def test_scores_that_mean_nothing_are_refused(
    change: dict[str, Any], columns: Sequence[str], form: Any, expected: str, tmp_path: Path
) -> None:
    content = [row | {"s": [0.5, 0.5]} for row in rows()]
    content[0] |= change
    if "c" in change or "no" in change:
        content = [row | change for row in content]
    with pytest.raises(DataError, match=expected):
        load(jsonl(tmp_path / "a.jsonl", content), columns, form)


def test_columns_without_a_score_in_them_are_refused(tmp_path: Path) -> None:
    content = [row | {"p_no": None, "s": None} for row in rows()]
    for columns in (("p_no", "p_yes"), ("s",)):
        with pytest.raises(DataError, match="no text has scores of the teacher"):
            load(jsonl(tmp_path / "a.jsonl", content), columns)


# --- which texts have them ----------------------------------------------------------------------------------------


def test_rows_without_scores_are_left_out_and_counted(tmp_path: Path) -> None:
    content = rows(200)
    for at in range(0, 60, 3):
        content[at]["p_no"] = None
    for at in range(1, 60, 3):
        content[at]["label"] = None
    found = load(jsonl(tmp_path / "a.jsonl", content))
    assert found.facts.removed.unscored == 20
    assert "20 rows of train: without scores of the teacher" in found.facts.as_text()
    assert len(found.unlabeled) == 20
    kept = [*found.train.texts, *found.selection.texts, *found.report.texts]
    assert len(kept) == 160
    assert np.isfinite(said(found, [*kept, *found.unlabeled])).all()


def test_scores_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    content = rows()
    again = [row | {"label": None, "p_no": 0.5, "p_yes": 0.5} for row in content[:3]]
    found = load(jsonl(tmp_path / "a.jsonl", [*content, *again, content[5]]))
    facts = transfer.build(found, None).facts
    assert facts.contradicted == 3
    assert (
        "3 texts have other scores of the teacher in another row: those that came first count"
        in facts.as_text()
    )


def test_gold_labels_without_scores_are_not_lost_silently(tmp_path: Path) -> None:
    content = rows()
    for at, row in enumerate(content):
        row |= {"p_no": None} if at < 50 else {"label": None}
    with pytest.raises(
        DataError, match="none of its 50 labelled rows has scores of the teacher, which others have"
    ):
        load(jsonl(tmp_path / "a.jsonl", content))


def test_held_out_splits_may_lack_the_columns(tmp_path: Path) -> None:
    for name, count in (("train", 100), ("validation", 30), ("test", 30)):
        content = rows(count)
        jsonl(tmp_path / f"{name}.jsonl", [{k: row[k] for k in ("text", "label")} for row in content])
        if name != "validation":
            jsonl(tmp_path / f"{name}.jsonl", content)
    found = load(tmp_path)
    assert "validation has no scores of the teacher, for lack of 'p_no', 'p_yes'." in notes(found)
    assert np.isnan(said(found, found.selection.texts)).all()
    assert found.soft is not None
    assert np.isfinite(found.soft.of(found.report.texts)).all()


def test_unlabelled_files_hold_the_same_columns(tmp_path: Path) -> None:
    more = rows(3000)
    for at in range(0, 100, 2):
        more[at]["p_yes"] = None
    jsonl(tmp_path / "more.jsonl", more)
    found = load(jsonl(tmp_path / "a.jsonl", rows()))
    made = transfer.build(found, TransferSpec(unlabeled=(str(tmp_path / "more.jsonl"),)))
    (source,) = made.facts.sources
    assert (source.texts, source.unscored, source.kept) == (3000, 50, 2950)
    assert "50 that the teacher did not score" in source.as_text()
    assert found.soft is not None
    assert np.isfinite(found.soft.of([*made])).all()
    bare = [{"text": row["text"]} for row in more]
    jsonl(tmp_path / "bare.jsonl", bare)
    with pytest.raises(DataError, match=r"bare\.jsonl: no column 'p_no'"):
        transfer.build(load(tmp_path / "a.jsonl"), TransferSpec(unlabeled=(str(tmp_path / "bare.jsonl"),)))
    jsonl(tmp_path / "other.jsonl", [row | {"p_no": 3.0} for row in more])
    with pytest.raises(DataError, match=r"other\.jsonl: 3 is no probability, which the scores are taken for"):
        transfer.build(load(tmp_path / "a.jsonl"), TransferSpec(unlabeled=(str(tmp_path / "other.jsonl"),)))


# --- without labels -----------------------------------------------------------------------------------------------


def test_without_labels_the_columns_name_them(tmp_path: Path) -> None:
    content = [{"text": r["text"], "score_no": r["p_no"], "score_yes": r["p_yes"]} for r in rows()]
    found = load(jsonl(tmp_path / "a.jsonl", content), ("score_*",), label=None)
    assert found.task.label_names == ("no", "yes")
    assert not found.train.is_labelled
    assert (len(found.train), len(found.selection), len(found.report)) == (80, 10, 10)
    assert not found.report.is_labelled
    assert "What is predicted are the teacher's labels: 'no', 'yes'." in notes(found)
    assert "from the teacher, for texts in the column 'text'" in found.facts.as_text()
    renamed = load(tmp_path / "a.jsonl", ("score_no", "score_yes"), label=(), label_names=("bad", "good"))
    assert renamed.task.label_names == ("bad", "good")


@pytest.mark.parametrize(
    ("columns", "spec", "kind", "names"),
    [
        (("s",), {"label_names": ("no", "yes"), "task": "multi-label"}, "multi-label", ("no", "yes")),
        (("p",), {"label_names": ("no", "yes")}, "single-label", ("no", "yes")),
        (("p",), {"task": "regression"}, "regression", ("p",)),
    ],
)
def test_the_user_says_what_the_columns_leave_open(
    columns: tuple[str, ...], spec: dict[str, Any], kind: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    content = [{"text": row["text"], "p": row["p_yes"], "s": [0.9, 0.8]} for row in rows()]
    path = jsonl(tmp_path / "a.jsonl", content)
    found = load(path, columns, label=(), **spec)
    assert (found.task.kind, found.task.label_names) == (kind, names)
    with pytest.raises(DataError, match=r"no text has a label, and the scores (do not tell|have no names)"):
        load(path, columns, label=())


def test_a_labelled_validation_file_measures_what_is_learnt_without_labels(tmp_path: Path) -> None:
    scored = [{"text": row["text"], "yes": row["p_yes"], "no": row["p_no"]} for row in rows()]
    jsonl(tmp_path / "train.jsonl", scored)
    jsonl(tmp_path / "validation.jsonl", [{"text": r["text"], "label": r["label"].upper()} for r in rows(40)])
    found = load(tmp_path, ("yes", "no"))
    assert found.task.label_names == ("yes", "no")
    assert not found.train.is_labelled
    assert not found.selection.is_labelled
    assert found.report.labels.tolist() == [1, 0] * 20
    jsonl(tmp_path / "validation.jsonl", [{"text": r["text"], "label": "maybe"} for r in rows(40)])
    with pytest.raises(DataError, match="the label 'maybe' is none of the model's: 'yes', 'no'"):
        load(tmp_path, ("yes", "no"))


# --- found by text ------------------------------------------------------------------------------------------------


def test_a_text_told_twice_keeps_what_was_said_first() -> None:
    found = store.Lookup(2)
    found.add(["a", "b"], np.array([[1, 2], [3, 4]], np.float32))
    found.add(["b", "a", "c"], np.array([[3, 4], [9, 9], [5, 6]], np.float32))
    found.close()
    assert (len(found), found.contradicted) == (3, 1)
    assert found.of(["c", "a", "x", "b"])[[0, 1, 3]].tolist() == [[5, 6], [1, 2], [3, 4]]
    assert np.isnan(found.of(["x"])).all()
    again = store.Lookup(2)
    again.add(["c", "b", "a"], np.array([[5, 6], [3, 4], [1, 2]], np.float32))
    again.close()
    assert again.digest == found.digest
    empty = store.Lookup(2)
    empty.close()
    assert np.isnan(empty.of(["a"])).all()
    assert empty.digest != found.digest


def test_many_texts_are_found_on_disk() -> None:
    found = store.Lookup(1)
    for start in range(0, 30_000, 1000):
        some = [f"text {at}" for at in range(start, start + 1000)]
        found.add(some, np.arange(start, start + 1000, dtype=np.float32)[:, None])
    found.close()
    wanted = DRAW.permutation(30_000)[:500]
    assert found.of([f"text {at}" for at in wanted])[:, 0].tolist() == wanted.tolist()


def test_texts_without_labels_are_cut_as_others_are(tmp_path: Path) -> None:
    """Where report texts are much longer than those of train, its longest are selected, in whole groups."""
    phrases = [" ".join(DRAW.choice(WORDS, 4 if at % 5 else 24)) for at in range(2500)]
    jsonl(tmp_path / "train.jsonl", [{"text": text} for text in [*phrases, phrases[0]]])
    sentences = [" ".join(DRAW.choice(WORDS, 24)) for _ in range(100)]
    jsonl(tmp_path / "test.jsonl", [{"text": t, "label": NAMES[at % 2]} for at, t in enumerate(sentences)])
    spec = DataSpec(source=str(tmp_path), text=("text",))
    found = data.load(spec, 0, FromTeacher(task=lambda is_pair: data.Task.of_classes(NAMES, is_pair=is_pair)))
    assert found.task.label_names == NAMES
    assert found.facts.removed.duplicates == 1
    assert not found.selection.is_labelled
    assert len(found.selection) >= 200
    assert min(len(text.split()) for text in found.selection.texts) == 24
    assert found.report.labels.tolist() == [0, 1] * 50
    assert "long texts, cut from train" in found.facts.splits["selection"].origin
