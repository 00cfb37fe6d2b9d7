"""`stepdown label`: a corpus with what a teacher says of it, which a recipe reads back."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny_bundle
from click.testing import CliRunner, Result

from stepdown import labelling, store
from stepdown.classifiers import Named, named
from stepdown.cli import cli
from stepdown.data import FromTeacher, Wanted
from stepdown.data import load as load_data
from stepdown.errors import DataError, InputError
from stepdown.recipe import DataSpec
from stepdown.runtime import bundle
from stepdown.students import huggingface
from stepdown.students.model import TextModel, logits
from tests.conftest import corpus, make_teacher

NAMES = ("negative", "positive")


def label(*words: object) -> Result:
    return CliRunner().invoke(cli, ["label", *map(str, words)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TextModel]:
    """A classifier in a folder: that its head is random matters to nobody here."""
    folder = tmp_path_factory.mktemp("teacher")
    made = huggingface.load(make_teacher(folder / "encoder"), NAMES, max_length=32).model
    (folder / "kept").mkdir()
    huggingface.save(made, folder / "kept")
    return folder / "kept", made


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    says = {
        "single": tiny_bundle.about(),
        "several": tiny_bundle.about(("praise", "blame"), task="multi-label", thresholds=(0.5, 0.5)),
        "number": tiny_bundle.about(("stars",), task="regression"),
        "pair": tiny_bundle.about(is_pair=True),
    }
    for name, about in says.items():
        bundle.write(folder / name, about, tiny_bundle.bundle_of(folder, about).files)
    return {name: folder / name for name in says}


def reviews(path: Path, count: int = 60) -> list[str]:
    texts, labels = corpus(count)
    rows = [
        {"review": text, "verdict": label, "at": at}
        for at, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return texts


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_rows_get_a_score_for_each_label_and_are_read_back(
    suffix: str, model: tuple[Path, TextModel], tmp_path: Path
) -> None:
    folder, made = model
    texts = reviews(tmp_path / "reviews.csv")
    target = tmp_path / f"out{suffix}"
    found = label(folder, tmp_path / "reviews.csv", "--output", target, "--column", "review", "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["rows"] == 60
    assert told["columns"] == ["score_negative", "score_positive"]
    rows = read(target)
    assert [*rows[0]] == ["review", "verdict", "at", "score_negative", "score_positive"]
    assert [row["review"] for row in rows] == texts
    said = logits(made, made.encode(texts)).astype(np.float64)
    p = 1 / (1 + np.exp(said[:, 0] - said[:, 1]))
    assert (
        np.abs(np.array([float(row["score_positive"]) for row in rows]) - p).max() < 5e-3
    )  # bfloat16 may be
    spec = DataSpec(source=str(target), text=("review",), label=("verdict",))
    dataset = load_data(spec, 0, FromTeacher(Wanted(("score_*",))))
    assert dataset.task.label_names == NAMES
    assert "probabilities" in " ".join(dataset.facts.notes)
    assert dataset.soft is not None
    dataset.soft.close()
    logit = dataset.soft.of(texts).astype(np.float64)
    margins = [np.log(float(row["score_positive"]) / float(row["score_negative"])) for row in rows]
    assert np.allclose(logit[:, 1] - logit[:, 0], margins, atol=1e-4)


def test_rows_of_json_lines_keep_the_keys_that_each_has(packed: dict[str, Path], tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": f"good {at}"} for at in range(150)]
    rows[120] |= {"note": {"by": "me"}}
    rows[3] |= {"stars": 4}
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert label(packed["single"], source, "--output", tmp_path / "out.jsonl").exit_code == 0
    written = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    own = [{key: cell for key, cell in json.loads(line).items() if "score_" not in key} for line in written]
    assert own == rows
    # The columns of other files are fixed, and nothing of a row is left out unsaid.
    for name in ("out.csv", "out.parquet"):
        told = label(packed["single"], source, "--output", tmp_path / name)
        assert isinstance(told.exception, DataError)
        assert "row 121 has 'note', which none of the first 100 rows has" in str(told.exception)
        assert not (tmp_path / name).exists()
    source.write_text("".join(json.dumps(row) + "\n" for row in rows[:120]), encoding="utf-8")
    assert label(packed["single"], source, "--output", tmp_path / "out.csv").exit_code == 0
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        assert [row["stars"] for row in csv.DictReader(file)][2:5] == ["", "4", ""]
    rows[130] |= {"score_negative": 1}
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    told = label(packed["single"], source, "--output", tmp_path / "taken.jsonl")
    assert isinstance(told.exception, DataError)
    assert "row 131: there is a column 'score_negative' already" in str(told.exception)


def test_logits_are_written_as_they_are(model: tuple[Path, TextModel], tmp_path: Path) -> None:
    reviews(tmp_path / "reviews.jsonl")
    words = (
        model[0],
        tmp_path / "reviews.jsonl",
        "--column",
        "review",
        "--scores",
        "logits",
        "--prefix",
        "z ",
    )
    assert label(*words, "--output", tmp_path / "out.jsonl").exit_code == 0
    plain = label(*words, "--output", "-")
    assert plain.stdout == (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    rows = read(tmp_path / "out.jsonl")
    assert {"z negative", "z positive"} <= set(rows[0])
    assert any(row["z negative"] < 0 for row in rows) or any(row["z positive"] < 0 for row in rows)


def test_bundles_label_every_kind_of_task(packed: dict[str, Path], tmp_path: Path) -> None:
    texts = ["good movie!", "not a bad movie.", "  ", "the"]
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    for kind, columns in (
        ("single", ["score_negative", "score_neutral", "score_positive"]),
        ("several", ["score_praise", "score_blame"]),
        ("number", ["score_stars"]),
    ):
        target = tmp_path / f"{kind}.jsonl"
        found = label(packed[kind], tmp_path / "texts.txt", "--output", target)
        assert found.exit_code == 0, found.output
        rows = read(target)
        assert [*rows[0]] == ["text", *columns]
        opened = named(str(packed[kind]))
        said = opened.ask([row["text"] for row in rows])
        expected = said if kind == "number" else opened.probabilities(said)
        assert np.allclose([[row[name] for name in columns] for row in rows], expected, atol=1e-5)
    pairs = [{"sentence1": "good movie", "sentence2": "not bad"}, {"sentence1": "", "sentence2": "the"}]
    (tmp_path / "pairs.jsonl").write_text(
        "".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8"
    )
    found = label(packed["pair"], tmp_path / "pairs.jsonl", "--output", tmp_path / "p.jsonl")
    assert found.exit_code == 0, found.output
    assert [row["sentence2"] for row in read(tmp_path / "p.jsonl")] == ["not bad", "the"]
    single = label(packed["pair"], tmp_path / "pairs.jsonl", "--column", "sentence1")
    assert single.exception is not None
    assert "reads pairs of texts, from two columns, and not 'sentence1'" in str(single.exception)


class Interrupted(Exception):
    pass


class Counting:
    """A labeller that counts the chunks that are computed, and may be interrupted."""

    def __init__(self, opened: Named, stops_after: int | None = None) -> None:
        self.computed = 0
        self._opened, self._stops_after = opened, stops_after

    def key(self, chunk_digest: str) -> str:
        return self._opened.labeller.key(chunk_digest)

    def ask(self, texts: Any, chunk_digest: str) -> np.ndarray:
        before = len(list(store.cache_dir().rglob("*.npy")))
        if self.computed == self._stops_after:
            raise Interrupted
        found = self._opened.labeller.ask(texts, chunk_digest)
        self.computed += len(list(store.cache_dir().rglob("*.npy"))) > before
        return found


def test_interrupted_it_leaves_no_half_file_and_goes_on_where_it_stopped(
    model: tuple[Path, TextModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepdown.labelling.work.CHUNK", 16)
    reviews(tmp_path / "reviews.jsonl", 100)
    opened = named(str(model[0]))
    wanted = labelling.Wanted(("review",))
    first = Counting(opened, stops_after=3)
    with pytest.raises(Interrupted):
        labelling.label(
            replace(opened, labeller=first), str(tmp_path / "reviews.jsonl"), tmp_path / "out.csv", wanted
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reviews.jsonl"]
    second = Counting(opened)
    told: list[int] = []
    _, counts = labelling.label(
        replace(opened, labeller=second),
        str(tmp_path / "reviews.jsonl"),
        tmp_path / "out.csv",
        wanted,
        lambda counts: told.append(counts.rows),
    )
    assert (first.computed, second.computed) == (3, 4)
    assert told == [16, 32, 48, 64, 80, 96, 100]
    assert counts.rows == 100
    whole = label(model[0], tmp_path / "reviews.jsonl", "--column", "review", "--output", tmp_path / "w.csv")
    assert whole.exit_code == 0
    assert (tmp_path / "w.csv").read_text() == (tmp_path / "out.csv").read_text()


def test_a_file_that_is_there_is_not_replaced_unasked(packed: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("good\n", encoding="utf-8")
    target = tmp_path / "out.jsonl"
    target.write_text("mine", encoding="utf-8")
    words = (packed["single"], tmp_path / "texts.txt", "--output", target)
    refused = label(*words)
    assert isinstance(refused.exception, InputError)
    assert "is there already" in str(refused.exception)
    assert target.read_text(encoding="utf-8") == "mine"
    assert label(*words, "--force").exit_code == 0
    assert len(read(target)) == 1


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (
            ("texts.txt", "--output", "out.tsv"),
            InputError,
            "expected a file that ends in .jsonl, .csv, .parquet",
        ),
        (("scored.jsonl",), DataError, "there is a column 'score_negative' already"),
        (("texts.txt", "--column", "txet"), DataError, r"no column 'txet'.* Did you mean 'text'\?"),
        (
            ("texts.txt", "--max-length", "64"),
            InputError,
            "is a bundle, which reads as many tokens as it was packed",
        ),
        (("folder",), DataError, "has several splits: train, test. Name one of them"),
        (("texts.txt", "--output", "-", "--json"), InputError, "--json speaks on stdout"),
        (("nothing.csv",), DataError, "nothing.csv: no such file"),
        (
            ("mixed.jsonl", "--output", "m.parquet"),
            DataError,
            "'x' holds values of several kinds.*Write a .jsonl",
        ),
    ],
)
def test_what_cannot_be_labelled_is_told(
    words: tuple[str, ...],
    error: type[InputError],
    says: str,
    packed: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stepdown.labelling.work.CHUNK", 1)
    Path("texts.txt").write_text("good\nbad\n", encoding="utf-8")
    Path("scored.jsonl").write_text('{"text": "good", "score_negative": 1}\n', encoding="utf-8")
    Path("mixed.jsonl").write_text(
        '{"text": "good", "x": 1}\n{"text": "bad", "x": "one"}\n', encoding="utf-8"
    )
    Path("folder").mkdir()
    for split in ("train", "test"):
        Path(f"folder/{split}.csv").write_text("text\ngood\n", encoding="utf-8")
    before = {path.name for path in tmp_path.iterdir()}
    found = label(packed["single"], *words)
    assert isinstance(found.exception, error), found.output
    with pytest.raises(error, match=says):
        raise found.exception
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_model_without_a_head_labels_nothing(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("good\n", encoding="utf-8")
    found = label(make_teacher(tmp_path / "encoder"), tmp_path / "texts.txt")
    assert "has no trained classification head" in str(found.exception)


def test_a_full_disk_is_told_and_leaves_nothing(packed: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="limits on files are a matter of Unix")
    (tmp_path / "texts.txt").write_text("good word\n" * 5000, encoding="utf-8")
    code = (
        "import resource, sys; from stepdown.cli import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY)); main()"
    )
    command = [sys.executable, "-c", code, "label", str(packed["single"]), "texts.txt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 1, done.stderr
    assert "could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["texts.txt"]


def test_memory_does_not_grow_with_the_rows(packed: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are drawn from a source without end as they are written: none is read ahead of the chunk in work."""
    from stepdown.data.table import Block, Table

    read_rows = 0

    def blocks(columns: tuple[str, ...]) -> Iterator[Block]:
        nonlocal read_rows
        for start in range(0, 10**9, 8192):
            read_rows += 8192
            yield Block("endless", range(start, start + 8192), tuple(["good movie"] * 8192 for _ in columns))

    class Enough(Exception):
        pass

    written = 0

    class Stream(io.BytesIO):
        def write(self, content: Any) -> int:
            nonlocal written
            written += content.count(b"\n")
            if written >= 40_000:
                raise Enough
            return len(content)

    from stepdown.labelling import work

    table = Table("endless", ("text",), blocks)
    opened = named(str(packed["single"]))
    monkeypatch.setattr(work, "_only", lambda source: table)
    with pytest.raises(Enough):
        labelling.label(opened, "endless", Stream(), labelling.Wanted(("text",)))
    assert read_rows - 8192 <= written + 8192


def test_who_has_read_enough_ends_it_without_a_word(packed: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("good word\n" * 20_000, encoding="utf-8")
    command = [sys.executable, "-m", "stepdown", "label", str(packed["single"]), "texts.txt", "--output", "-"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    ) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        assert json.loads(started.stdout.readline())["text"] == "good word"
        started.stdout.close()
        assert started.stderr.read() == b""
    assert started.returncode == 0
