"""Masked language modelling: what is hidden, what is read, that it learns, resumes, and serves as a rung."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from stepdown import pretraining, recipe, report, runs, store, tokens
from stepdown.cli import main
from stepdown.data.groups import overlap
from stepdown.errors import InputError, ModelError, RecipeError, StoreError
from stepdown.pretraining import checkpoints, corpus, masking, sequences, work
from stepdown.pretraining.fit import Schedule, Update, fit, hidden, learner, predictions
from stepdown.pretraining.measure import ratio
from stepdown.pretraining.record import notes
from stepdown.recipe.pretraining import FORM, PUBLISHED, BertHashSizes, TextSpec
from stepdown.students import huggingface, masked_lm
from stepdown.tokens import BertWordPiece
from tests import interrupts
from tests.conftest import FILLER

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def tokenizer(words: Sequence[str] = FILLER) -> BertWordPiece:
    return BertWordPiece([*SPECIAL, *words])


def sentences(count: int, seed: int = 0) -> list[str]:
    """Texts of one word each, of twelve, again and again: a hidden one is told by the others."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(5, 24, count)
    return [
        " ".join([word] * size) for word, size in zip(draw.choice(FILLER[:12], count), sizes, strict=True)
    ]


def random_texts(count: int, seed: int = 0, words: Sequence[str] = FILLER) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(words, draw.integers(9, 20))) for _ in range(count)]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(random_texts(400)) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def written(tmp_path: Path, texts: Path, toy_teacher: Path) -> Path:
    """A recipe that pretrains in a second or two."""
    path = tmp_path / "pretrain.toml"
    path.write_text(
        f"""name = "toy"
[text]
unlabeled = "{texts.name}"
[model]
hidden = 16
projections = 3
vocabulary = "./{toy_teacher.name}"
[training]
epochs = 3
batch_size = 16
max_length = 16
dropout = 0.1
validation_fraction = 0.1
evaluations = 5
""",
        encoding="utf-8",
    )
    return path


def opened(path: Path, out: Path, *sets: str) -> pretraining.Context:
    return pretraining.open_pretraining(recipe.load_pretraining(path, sets), out)


def weights(out: Path) -> dict[str, np.ndarray]:
    return load_file(out / "model" / "model.safetensors")


@dataclass(frozen=True)
class Called:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Call = Callable[..., Called]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls `stepdown pretrain` as the command line does, in the temporary folder."""

    def call(*words: object) -> Called:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        monkeypatch.setenv("DO_NOT_TRACK", "1")
        monkeypatch.setattr(sys, "argv", ["stepdown", "pretrain", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        code = caught.value.code
        assert isinstance(code, int)
        return Called(code, *capsys.readouterr())

    return call


# What is hidden


def test_of_the_chosen_pieces_most_are_hidden_some_replaced_some_left() -> None:
    rule = masking.masking_for(tokenizer([f"w{index}" for index in range(5000)]), 0.15)
    draw = np.random.default_rng(0)
    ids = draw.integers(5, 5005, (400, 102))
    ids[:, 0], ids[:, 100], ids[:, 101] = 2, 3, 0  # [CLS] … [SEP] and padding
    ids[7, 50:60] = 1
    seen, chosen = masking.hide(ids, rule, draw)
    assert not chosen[np.isin(ids, range(5))].any()
    free = (ids >= 5).sum(1)
    assert (chosen.sum(1) == np.rint(0.15 * free)).all()
    assert (seen[~chosen] == ids[~chosen]).all()
    count = chosen.sum()
    masked, same = (seen[chosen] == 4).sum(), (seen[chosen] == ids[chosen]).sum()
    # Four standard errors of shares of 6,000 pieces.
    assert masked / count == pytest.approx(0.8, abs=0.021)
    assert same / count == pytest.approx(0.1, abs=0.016)
    assert (count - masked - same) / count == pytest.approx(0.1, abs=0.016)
    # Wherever it is, a piece has the same chance.
    assert chosen[:, 1:100].sum(0).std() < 2 * np.sqrt(400 * 0.15 * 0.85)


def test_every_sequence_has_a_piece_to_predict() -> None:
    rule = masking.masking_for(tokenizer(), 0.01)
    ids = np.array([[2, 9, 10, 11, 12, 3], [2, 9, 3, 0, 0, 0]])
    assert masking.hide(ids, rule, np.random.default_rng(0))[1].sum(1).tolist() == [1, 1]


def test_a_vocabulary_that_cannot_hide_a_piece_is_told() -> None:
    with pytest.raises(ModelError, match=r"no \[MASK\]"):
        masking.masking_for(BertWordPiece([*SPECIAL[:4], "a"]), 0.15)


# What is read


def test_all_of_a_text_is_read_once_and_in_order() -> None:
    reader = tokenizer()
    chunk = [" ".join(FILLER[:n]) for n in (4, 14, 15, 29, 60)] + ["word1 ☃ ☃ ☃", "", "☃ " * 30]
    found = sequences.read(reader, [chunk, ["word5 word6 word7 word8"]], 16)
    assert found.tokens.lengths.max() <= 16
    assert found.left_out == 5  # the two short ones, and three of snow
    by_text: dict[int, list[int]] = {}
    for row, text in enumerate(found.text_of.tolist()):
        ids = found.tokens.ids[found.tokens.offsets[row] : found.tokens.offsets[row + 1]].tolist()
        assert (ids[0], ids[-1]) == (2, 3)
        by_text.setdefault(text, []).extend(ids[1:-1])
    whole = reader.encode([*chunk, "word5 word6 word7 word8"], 1000)
    for text, ids in by_text.items():
        assert ids == whole.ids[whole.offsets[text] + 1 : whole.offsets[text + 1] - 1].tolist()
    assert sorted(by_text) == [0, 1, 2, 3, 4, 8]
    # 60 pieces in five sequences of 12, not in four of 14 and a rest of 4.
    assert found.tokens.lengths[found.text_of == 4].tolist() == [14] * 5


def test_held_out_texts_are_never_learnt_from(tmp_path: Path) -> None:
    words = [f"w{index}" for index in range(3000)]
    rows = random_texts(300, words=words)
    # Versions of ten of them: longer ones, others in capitals.
    rows += [f"and they say {text} !" for text in rows[:5]] + [text.upper() for text in rows[5:10]]
    tested = random_texts(4, seed=9, words=words)
    rows.append(f"somebody said {tested[0]}")
    (tmp_path / "texts.txt").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "data").mkdir()
    for split, some in (("train", rows[20:40]), ("validation", tested[:2]), ("test", tested[2:])):
        lines = [json.dumps({"text": text, "label": 0}) for text in some]
        (tmp_path / "data" / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    spec = TextSpec(unlabeled=(str(tmp_path / "texts.txt"),), keep_out=(str(tmp_path / "data"),))
    found = corpus.gather(spec, 0.3, 0)
    learnt = list(found.train)
    assert len(found.held_out) == found.facts.held_out == round(0.3 * 305)
    assert not overlap(learnt, found.held_out).any()
    assert not overlap(learnt + found.held_out, tested).any()
    (source,) = found.facts.sources
    # Train texts of what is tested on may be read.
    assert (source.texts, source.repeated, source.overlapping, source.kept) == (311, 5, 1, 305)
    assert found.facts.kept_out == 4
    assert len(learnt) + found.facts.held_out + found.facts.overlapping == 305
    assert 0 < found.facts.overlapping <= 5
    again = corpus.gather(spec, 0.3, 0)
    assert (list(again.train), again.held_out) == (learnt, found.held_out)
    assert corpus.gather(spec, 0.3, 1).held_out != found.held_out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("one text alone\n" * 50, "gives 1 texts, too few"),
        (
            "\n".join(f"no {index}" for index in range(50)),
            "None of the texts to learn from has 4 word pieces",
        ),
    ],
)
def test_text_that_is_too_little_is_told(
    written: Path, texts: Path, call: Call, content: str, says: str
) -> None:
    texts.write_text(content, encoding="utf-8")
    found = call(written)
    assert (found.code, found.out) == (2, "")
    assert says in found.err
    assert not (texts.parent / "runs").exists()


# That it learns


def small(seed: int = 0) -> masked_lm.MaskedLanguageModel:
    return masked_lm.build(BertHashSizes(32, 8), tokenizer(), dropout=0.0, seed=seed)


SCHEDULE = Schedule(250, 32, 1e-2, 0.1, 0.01, seed=0)
RULE = masking.masking_for(tokenizer(), 0.15)


def test_it_learns_what_the_words_around_tell() -> None:
    train = sequences.read(tokenizer(), [sentences(1500)], 32)
    held_out = sequences.read(tokenizer(), [sentences(100, seed=1)], 32)
    student = learner(small(), SCHEDULE)
    before = work.measure(student.network, held_out, RULE, 0)
    events = list(fit(student, train.tokens, RULE, SCHEDULE))
    after = work.measure(student.network, held_out, RULE, 0)
    assert before.loss.value == pytest.approx(np.log(65), abs=0.3)
    assert after.accuracy.value > 0.5  # by chance 0.08
    assert after.loss.value < 1.5
    assert after.accuracy.low < after.accuracy.value < after.accuracy.high
    assert after.loss.n == after.accuracy.n == before.loss.n > 100
    assert [event.done for event in events] == list(range(1, 251))


def test_passes_never_change_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for size in (64, 100_000):
        monkeypatch.setitem(sys.modules["stepdown.pretraining.fit"]._IDS_PER_PASS, "cpu", size)
        student = learner(small(), SCHEDULE)
        train = sequences.read(tokenizer(), [sentences(40)], 32)
        steps = fit(student, train.tokens, RULE, SCHEDULE)
        losses = [next(steps).loss for _ in range(3)]
        found.append((losses, [p.detach().clone() for p in student.network.parameters()]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_padding_never_changes_what_is_predicted() -> None:
    check_padding(small(), tokenizer())


def check_padding(network: masked_lm.MaskedLanguageModel, reader: sequences.Reader) -> None:
    """Sequences of several lengths get the same predictions together and one by one."""
    network.eval()
    train = sequences.read(reader, [sentences(9)], 32)
    batch = hidden(train.tokens, np.arange(9), RULE, np.random.default_rng(0))
    with torch.inference_mode():
        [(rows, together, truth)] = predictions(network, batch)
        alone = [
            network(
                torch.from_numpy(batch.seen[row : row + 1, : batch.lengths[row]]),
                torch.from_numpy(batch.lengths[row : row + 1]),
                torch.from_numpy(batch.chosen[row : row + 1, : batch.lengths[row]]),
            )
            for row in rows
        ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    assert truth.tolist() == np.concatenate([batch.truth[row][batch.chosen[row]] for row in rows]).tolist()


def test_the_rate_rises_and_falls_in_straight_lines() -> None:
    schedule = Schedule(100, 1, 1.0, 0.1, 0.0, 0)
    rates = np.array([schedule.rate(done) for done in range(100)])
    assert np.allclose(np.diff(rates[:10]), 0.1)
    assert rates.max() == rates[9] == 1.0
    assert np.allclose(np.diff(rates[10:]), -1 / 90)
    assert rates[-1] == pytest.approx(1 / 90)
    assert Schedule(1, 1, 1.0, 0.1, 0.0, 0).rate(0) == 1.0


def test_an_interval_is_wider_where_values_of_a_text_are_alike() -> None:
    right = np.repeat([0.0, 1.0], 50)
    apart = ratio(right, np.ones(100))
    assert (apart.value, apart.n) == (0.5, 100)
    assert apart.high - 0.5 == pytest.approx(1.96 * np.sqrt(0.25 / 99), rel=1e-3)
    together = ratio(right.reshape(20, 5).sum(1), np.full(20, 5))
    assert (together.value, together.n) == (0.5, 100)
    assert together.high - 0.5 > 2 * (apart.high - 0.5)
    assert ratio(np.array([2.0]), np.array([4.0])).low == 0.5


# That it resumes


class _Killed(Exception):
    pass


def test_a_resumed_pretraining_ends_with_the_same_weights(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = "training.batch_size=64"
    whole = pretraining.work_through(opened(written, tmp_path / "whole", few))
    monkeypatch.setattr(work, "_CHECKPOINT_SECONDS", 0.0)
    out = tmp_path / "resumed"
    resumed = []
    for stop in (3, 11, 24, None):  # in the first pass, at a point of the curve in the second, in the third

        def tell(happening: pretraining.Happening, stop: int | None = stop) -> None:
            if isinstance(happening, pretraining.Resumed):
                resumed.append(happening.done)
            if isinstance(happening, Update) and happening.done == stop:
                torch.rand(7)  # whoever else draws changes nothing
                raise _Killed

        if stop is None:
            told = pretraining.work_through(opened(written, out, few), tell)
        else:
            with pytest.raises(_Killed):
                pretraining.work_through(opened(written, out, few), tell)
            assert not store.read_json(out / "pretraining.json")["finished"]
    assert resumed == [2, 10, 23]
    ours, theirs = weights(out), weights(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    timeless = [
        [{key: value for key, value in point.items() if key != "seconds"} for point in one["curve"]]
        for one in (told, whole)
    ]
    assert timeless[0] == timeless[1]
    assert [point["update"] for point in told["curve"]] == [0, 5, 11, 16, 22, 27]
    assert not (out / "checkpoints").exists()


def test_another_seed_gives_other_weights(written: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        context = opened(written, tmp_path / str(seed), f"seed={seed}", "training.epochs=1")
        pretraining.work_through(context)
    name = "encoder.layer.0.output.dense.weight"
    assert not np.array_equal(weights(tmp_path / "0")[name], weights(tmp_path / "1")[name])


def test_an_interrupted_command_keeps_its_checkpoint_and_goes_on(
    written: Path, tmp_path: Path, call: Call
) -> None:
    """Control-C, for real: exit code 130, one line, and the next sitting ends as an undisturbed one does."""
    sets = ("training.epochs=10", "training.evaluations=20")
    words = ("pretrain", str(written), "--set", sets[0], "--set", sets[1], "--out", "run")
    process = interrupts.started(
        [sys.executable, "-m", "stepdown", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ,
    )
    kept, until = tmp_path / "run" / "checkpoints", time.monotonic() + 120
    while not list(kept.glob("update-*/manifest.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.endswith("stepdown: interrupted; what was finished stays.\n")
    assert "Traceback" not in said
    assert list(kept.glob("update-*/manifest.json"))
    again = call(*words[1:], "--json")
    assert again.code == 0, again.err
    assert "goes on after" in again.err
    assert json.loads(again.out)["finished"]
    pretraining.work_through(opened(written, tmp_path / "whole", *sets))
    name = "embeddings.word_embeddings.embeddings.weight"
    assert np.array_equal(weights(tmp_path / "run")[name], weights(tmp_path / "whole")[name])


def test_a_damaged_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    student = learner(small(), SCHEDULE)
    train = sequences.read(tokenizer(), [sentences(40)], 32)
    next(fit(student, train.tokens, RULE, SCHEDULE))
    checkpoints.save(tmp_path, "key", student, {"points": []})
    assert checkpoints.restore(tmp_path, "key", learner(small(1), SCHEDULE)) == {"points": []}
    assert checkpoints.restore(tmp_path, "another", learner(small(1), SCHEDULE)) is None
    (path,) = tmp_path.glob("update-*/optimizer.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    fresh = learner(small(1), SCHEDULE)
    assert checkpoints.restore(tmp_path, "key", fresh) is None
    assert fresh.done == 0


def test_a_finished_pretraining_is_not_done_again(written: Path, tmp_path: Path, call: Call) -> None:
    first = call(written, "--set", "training.epochs=1", "--json")
    assert first.code == 0, first.err
    out = tmp_path / "runs" / "toy"
    left = {"curve.svg", "inputs.json", "log.jsonl", "model", "pretraining.json", "recipe.toml"}
    assert {path.name for path in out.iterdir()} - {".lock"} == left
    before = (out / "model" / "model.safetensors").stat().st_mtime_ns
    again = call(written, "--set", "training.epochs=1", "--json")
    assert again.out == first.out
    assert (out / "model" / "model.safetensors").stat().st_mtime_ns == before
    shown = call("runs/toy/recipe.toml", "--out", "runs/toy")  # which alone says it all
    assert shown.code == 0, shown.err
    assert "named" not in shown.err
    assert "hidden pieces in 40 held-out texts it names" in shown.out
    assert f'As a rung: model = "{out / "model"}"' in shown.out  # wherever the run's recipe will be


def test_other_inputs_never_overwrite_what_is_there(written: Path, texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    pretraining.work_through(opened(written, out, "training.epochs=1"))
    with pytest.raises(InputError, match=r"\[model\], \[training\] or seed\. Name another folder"):
        pretraining.work_through(opened(written, out, "training.epochs=2"))
    with texts.open("a", encoding="utf-8") as file:
        file.write("word1 word2 word3 word4 word5\n")
    with pytest.raises(InputError, match="changed since: text"):
        pretraining.work_through(opened(written, out, "training.epochs=1"))


def test_what_was_only_begun_gives_way(written: Path, tmp_path: Path) -> None:
    def stop(happening: pretraining.Happening) -> None:
        raise _Killed

    with pytest.raises(_Killed):
        pretraining.work_through(opened(written, tmp_path / "run"), stop)
    assert pretraining.work_through(opened(written, tmp_path / "run", "training.epochs=1"))["finished"]


def test_the_folder_of_a_run_is_left_alone(written: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / "cells").mkdir(parents=True)
    (tmp_path / "run" / "recipe.toml").write_text("a run's")
    with pytest.raises(InputError, match=r"holds a run of `stepdown run`\. Name another folder"):
        pretraining.work_through(opened(written, tmp_path / "run"))
    assert (tmp_path / "run" / "recipe.toml").read_text() == "a run's"


@pytest.mark.parametrize("left", ["inputs.json", "pretraining.json"])
def test_a_run_leaves_the_folder_of_a_pretraining_alone(tmp_path: Path, left: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / left).write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"holds a pretraining of `stepdown pretrain`\. Name another folder"):
        runs.open_run(recipe.load("demo"), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [left]


def test_two_processes_never_work_in_one_folder(written: Path, tmp_path: Path) -> None:
    context = opened(written, tmp_path / "run")
    with (
        store.lock(tmp_path / "run" / ".lock", "somebody works", wait=False),
        pytest.raises(StoreError, match="another pretraining works in"),
    ):
        pretraining.work_through(context)


def test_a_disk_that_fails_is_told_and_leaves_the_checkpoint_before(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on the size of files stands for a disk that fills up while a checkpoint is written."""
    resource = pytest.importorskip("resource", reason="limits on files are a matter of Unix")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(work, "_CHECKPOINT_SECONDS", 0.0)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(happening: pretraining.Happening) -> None:
        if isinstance(happening, Update) and happening.done == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))

    try:
        with pytest.raises(StoreError, match="could not be written: it is larger than the system allows"):
            pretraining.work_through(opened(written, tmp_path / "run"), fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["update-000000002"]
    assert pretraining.work_through(opened(written, tmp_path / "run"))["finished"]


def test_a_folder_that_cannot_be_written_is_told(written: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    found = call(written, "--out", "taken/run")
    assert found.code == 1, found.err
    assert "a file is where a folder should be" in found.err


def test_a_dry_run_tells_what_is_done_and_to_come_and_writes_nothing(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    plan = call(written, "--dry-run", "--json")
    assert plan.code == 0, plan.err
    found = json.loads(plan.out)
    assert found["student"] == "bert_hash, 2 layers, 16 wide, 3 columns"
    assert (found["done"], found["updates"]) == (0, 3 * found["updates_per_epoch"])
    assert found["seconds"] > 3 * found["seconds_per_epoch"] > 0
    assert not (tmp_path / "runs").exists()

    def stop(happening: pretraining.Happening) -> None:
        if isinstance(happening, Update) and happening.done == 9:
            raise _Killed

    monkeypatch.setattr(work, "_CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(_Killed):
        pretraining.work_through(opened(written, tmp_path / "runs" / "toy"), stop)
    told = call(written, "--dry-run")
    assert (
        f"{found['updates']} updates, 8 of them done, 3.0 passes of {found['updates_per_epoch']}" in told.out
    )
    assert "to come in runs/toy" in told.out


# That it serves as a rung


@pytest.mark.parametrize(("size", "parameters"), [("femto", 242_662), ("pico", 448_498), ("nano", 969_890)])
def test_the_named_sizes_are_the_published_ones(tmp_path: Path, size: str, parameters: int) -> None:
    reader = tokenizer([f"w{index}" for index in range(30_517)])
    model = masked_lm.build(PUBLISHED[size], reader, dropout=0.0, seed=0)
    masked_lm.save(model, reader, 128, tmp_path)
    found = huggingface.load(tmp_path, ["no", "yes"], max_length=128)
    assert found.model.parameters == parameters
    assert not found.has_head
    kept = load_file(tmp_path / "model.safetensors")
    assert kept["embeddings.word_embeddings.embeddings.weight"].shape == (30_522, PUBLISHED[size].projections)
    assert not [name for name in kept if "pooler" in name or name.startswith(("cls", "bert."))]
    about = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert (about["model_type"], about["architectures"]) == ("bert_hash", ["BertHashModel"])
    assert about["hidden_dropout_prob"] == about["attention_probs_dropout_prob"] == 0.1
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["model_max_length"] == 128


def ladder(tmp_path: Path, data: Path, rung: str = "", text: str = '"review"') -> Path:
    """A recipe whose one rung begins with the folder."""
    path = tmp_path / "recipe.toml"
    path.write_text(
        f"""name = "rung"
[data]
source = "{data.name}"
text = {text}
label = "verdict"
max_length = 16
[teacher]
model = "./toy-teacher"
epochs = 4
learning_rate = 2e-3
[[rungs]]
model = "./pretrained/model"
{rung}
[compare]
arms = ["direct"]
seeds = 1
""",
        encoding="utf-8",
    )
    return path


def test_a_pretrained_student_is_a_rung(written: Path, tmp_path: Path, toy_csv: Path) -> None:
    pretraining.work_through(opened(written, tmp_path / "pretrained"))
    folder = tmp_path / "pretrained" / "model"
    found = huggingface.load(folder, ["a", "b"], max_length=16)
    assert {name.split(".")[1] for name in found.model.fresh} <= {"classifier", "bert"}
    assert all("pooler" in name or "classifier.classifier" in name for name in found.model.fresh)
    state = found.model.network.classifier.state_dict()
    for name, value in weights(tmp_path / "pretrained").items():
        assert np.array_equal(state[f"bert.{name}"].numpy(), value), name
    results = runs.work_through(
        runs.open_run(recipe.load(ladder(tmp_path, toy_csv, "epochs = 1")), tmp_path / "run")
    )
    assert results["cells"][-1]["model"] == "bert_hash, 2 layers, 16 wide"


# Recipes


def faults(tmp_path: Path, content: str) -> list[str]:
    path = tmp_path / "faulty.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        recipe.load_pretraining(path)
    return caught.value.faults


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """name = "x"
[text]
unlabeled = "demo:movies"
split_sentence = true
[model]
size = "fempto"
hidden = 50
[training]
epochs = 0
steps = 3
max_length = 1000
""",
    )
    assert [line.split(": ")[0] for line in found] == [
        "text.unlabeled",
        "text.split_sentence",
        "model.hidden",
        "model.size",
        "training.steps",
        "training.epochs",
        "training.max_length",
    ]
    assert 'Did you mean "split_sentences"?' in found[1]
    assert found[3].endswith('Did you mean "femto"?')


def test_what_goes_together_goes_together(tmp_path: Path) -> None:
    start = 'name = "x"\n[text]\nunlabeled = "t.txt"\n'
    assert faults(tmp_path, f"{start}[model]\nhidden = 51\nprojections = 5\n[training]\n") == [
        "model.hidden: found 51, of which 2 heads cannot have equal shares; expected a multiple",
        "training.epochs: missing; expected passes over the text, or training.steps in its place",
    ]
    assert [
        line.split(":")[0]
        for line in faults(tmp_path, f"{start}[model]\nlayers = 3\n[training]\nsteps = 1\n")
    ] == [
        "model.hidden",
        "model.projections",
    ]


def test_a_recipe_of_the_other_command_is_told_in_a_sentence(written: Path, tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match="is a recipe of `stepdown pretrain`; expected one of `stepdown run`"
    ):
        recipe.load(written)
    with pytest.raises(
        RecipeError, match="is a recipe of `stepdown run`; expected one of `stepdown pretrain`"
    ):
        recipe.load_pretraining(recipe.shipped()["demo"])
    with pytest.raises(RecipeError, match=r"no such file\. Did you mean"):
        recipe.load_pretraining(tmp_path / "pretran.toml")


def test_a_resolved_recipe_reads_as_an_equal_one(written: Path, tmp_path: Path) -> None:
    one = recipe.load_pretraining(written, ["training.steps=7", "training.epochs="])
    (tmp_path / "again.toml").write_text(recipe.dump(one), encoding="utf-8")
    assert recipe.load_pretraining(tmp_path / "again.toml") == one
    assert Path(one.text.unlabeled[0]).is_absolute()
    assert one.model.vocabulary is not None
    assert Path(one.model.vocabulary).is_absolute()
    assert one.model.sizes == BertHashSizes(16, 3, 2, 2)


def test_the_docs_have_every_key_and_a_recipe_that_is_one(tmp_path: Path) -> None:
    docs = (Path(__file__).parents[1] / "docs" / "pretraining.md").read_text(encoding="utf-8")
    example = tmp_path / "example.toml"
    example.write_text(re.findall(r"```toml\n(.*?)```", docs, re.DOTALL)[0], encoding="utf-8")
    assert recipe.load_pretraining(example).model.sizes == PUBLISHED["femto"]
    rows = dict(re.findall(r"^\| (`[^|]*`) \| (.*?) ?\|", docs, re.MULTILINE))
    stated = {key: default for keys, default in rows.items() for key in re.findall(r"`(.*?)`", keys)}
    for table, spec in FORM.tables.items():
        for key, field in spec.model_fields.items():
            default = stated.pop(f"{table}.{key}").strip("`")
            if isinstance(field.default, int | float) and not isinstance(field.default, bool):
                assert float(default) == field.default, key
    assert set(stated) == {"name", "seed"}


def test_a_vocabulary_of_another_kind_is_refused(written: Path, tmp_path: Path) -> None:
    import tokenizers

    folder = tmp_path / "other"
    folder.mkdir()
    vocabulary = {"<unk>": 0, "a": 1, "b": 2}
    model = tokenizers.models.WordLevel(vocabulary, unk_token="<unk>")
    tokenizers.Tokenizer(model).save(str(folder / "tokenizer.json"))
    with pytest.raises(ModelError, match="tokenizer of its own"):
        opened(written, tmp_path / "run", f"model.vocabulary={folder}")
    with pytest.raises(ModelError, match="there is no folder"):
        opened(written, tmp_path / "run", f"model.vocabulary={tmp_path / 'nowhere'}")


def test_a_folder_with_a_bare_vocabulary_will_do(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    reader = tokenizer()
    reader.save(folder)
    (folder / "tokenizer_config.json").unlink()
    assert isinstance(tokens.from_huggingface(folder), BertWordPiece)
    assert opened(written, tmp_path / "run", f"model.vocabulary={folder}").student.tokenizer.vocab_size == 65


# The curve


def points(losses: Sequence[float]) -> Iterator[dict]:
    for number, loss in enumerate(losses):
        yield {
            "update": number * 10,
            "epoch": number / 2,
            "learning_rate": 0.0,
            "train_loss": loss + 0.1 if number else None,
            "held_out_loss": {"value": loss, "low": loss - 0.05, "high": loss + 0.05, "n": 50},
            "held_out_accuracy": {"value": 0.0, "low": 0.0, "high": 0.0, "n": 50},
            "seconds": 1.0,
        }


@pytest.mark.parametrize("losses", [[4.0], [9.0, 5.0, 4.0], [4.0, 4.0]])
def test_the_curve_is_drawn_whatever_it_is(losses: list[float]) -> None:
    drawing = ElementTree.fromstring(report.loss_curve(list(points(losses))))
    name = "{http://www.w3.org/2000/svg}"
    paths = {
        path.get("class"): path.get("d")
        for path in drawing.iter(f"{name}path")
        if path.get("class") != "grid"
    }
    assert ("line train" in paths) == (len(losses) > 1)
    assert paths["line held"].count("L") == len(losses) - 1
    assert f"held-out loss {losses[-1]:.3f}" in (drawing.findtext(f"{name}desc") or "")
    numbers = [
        float(part)
        for d in paths.values()
        for part in d.replace("M", " ").replace("L", " ").rstrip("Z").split()
    ]
    assert all(0 <= number <= 480 for number in numbers)


def test_a_loss_that_rises_at_the_end_is_told() -> None:
    assert notes(list(points([9.0, 4.0, 4.04]))) == []
    (note,) = notes(list(points([9.0, 4.0, 4.2])))
    assert "lowest after 10 updates (4.000) and has risen since" in note


def test_the_commands_progress_is_lines_where_nobody_watches(written: Path, call: Call) -> None:
    found = call(written, "--set", "training.steps=4", "--set", "training.epochs=")
    assert found.code == 0, found.err
    lines = found.err.splitlines()
    assert lines[0].startswith("Text: 360 texts to learn from, 40 held out")
    assert [line.split(":")[0] for line in lines[2:]] == [f"{n} of 4 updates" for n in range(5)]
    assert "left" in lines[-2]
