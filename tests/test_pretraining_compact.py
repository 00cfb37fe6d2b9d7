"""A compact student reads text before it learns a task: what it reads by, what it leaves, how a rung begins with it."""

import json
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from stepdown import assets, pretraining, recipe, runs
from stepdown.errors import InputError, ModelError, RecipeError
from stepdown.ladder import rungs
from stepdown.pretraining import corpus, masking, sequences, work
from stepdown.pretraining.fit import Schedule, Update, fit, learner
from stepdown.recipe.settings import CORES, Core
from stepdown.students import building, embeddings, huggingface, pretrained
from stepdown.students.compact import CompactNetwork, shape_for
from stepdown.tokens import Words
from tests.conftest import FILLER
from tests.test_pretraining import check_padding, ladder, opened, random_texts, sentences

WORDS = Words(FILLER)
RULE = masking.masking_for(WORDS, 0.15)


def small(core: Core = "gru") -> pretrained.MaskedCompact:
    return pretrained.build(shape_for(15_000, WORDS.vocab_size, 2, core), dropout=0.0, seed=0)


@pytest.fixture
def written(tmp_path: Path, toy_teacher: Path) -> Path:
    """A recipe that pretrains a compact student in a second or two."""
    (tmp_path / "texts.txt").write_text("\n".join(random_texts(400)) + "\n", encoding="utf-8")
    path = tmp_path / "pretrain.toml"
    path.write_text(
        f"""name = "toy"
[text]
unlabeled = "texts.txt"
[model]
student = "compact"
max_params = 8_000
embeddings = "./{toy_teacher.name}"
[training]
epochs = 2
batch_size = 32
max_length = 16
dropout = 0.1
validation_fraction = 0.1
evaluations = 2
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """What a finished pretraining left for rungs."""
    pretraining.work_through(opened(written, tmp_path / "pretrained"))
    return tmp_path / "pretrained" / "model"


# What is read and hidden


def test_words_are_hidden_behind_an_id_that_no_text_has() -> None:
    ids = np.array([[2, 3, 4, 5, 6, 7, 8, 9, 1, 0]] * 300)
    seen, chosen = masking.hide(ids, RULE, np.random.default_rng(0))
    assert not chosen[:, 8:].any()
    assert (chosen.sum(1) == 1).all()
    assert RULE.mask_id == WORDS.vocab_size
    assert (seen[chosen] == RULE.mask_id).mean() == pytest.approx(0.8, abs=0.1)
    assert (seen[~chosen] == ids[~chosen]).all()


def test_all_of_a_text_is_read_once_in_order_and_without_a_frame() -> None:
    texts = [" ".join(FILLER[:n]) for n in (3, 4, 16, 17, 50)] + ["", "☃ ☃ ☃ ☃ ☃"]
    found = sequences.read(WORDS, [texts], 16)
    assert found.left_out == 3
    assert found.tokens.lengths.tolist() == [4, 16, 8, 9, 12, 13, 12, 13]
    whole = WORDS.encode([texts[4]], 1000)
    rows = np.flatnonzero(found.text_of == 4)
    assert found.tokens.take(rows).ids.tolist() == whole.ids.tolist()


# That it learns


@pytest.mark.parametrize("core", CORES)
def test_it_learns_what_the_words_around_tell(core: Core) -> None:
    schedule = Schedule(120, 32, 1e-2, 0.1, 0.01, seed=0)
    train = sequences.read(WORDS, [sentences(1000)], 32)
    held_out = sequences.read(WORDS, [sentences(100, seed=1)], 32)
    student = learner(small(core), schedule)
    before = work.measure(student.network, held_out, RULE, 0)
    for _ in fit(student, train.tokens, RULE, schedule):
        pass
    after = work.measure(student.network, held_out, RULE, 0)
    assert before.loss.value == pytest.approx(np.log(WORDS.vocab_size), abs=0.3)
    assert after.accuracy.value > 0.5  # by chance 0.08


@pytest.mark.parametrize("core", CORES)
def test_padding_never_changes_what_is_predicted(core: Core) -> None:
    check_padding(small(core), WORDS)


def test_its_words_begin_with_the_vectors_of_the_lender(written: Path, tmp_path: Path) -> None:
    context = opened(written, tmp_path / "run")
    student = context.learner()
    network, words = student.network, context.student.tokenizer
    assert isinstance(network, pretrained.MaskedCompact)
    assert isinstance(words, Words)
    drawn = [table.detach().clone() for table in network.tables]
    context.student.begin(network)
    encoder = huggingface.load(tmp_path / "toy-teacher", max_length=16).model
    counts = Counter(words.words((tmp_path / "texts.txt").read_text(encoding="utf-8")))
    held_out = Counter(words.words(" ".join(corpus.gather(context.recipe.text, 0.1, 0).held_out)))
    lend = partial(embeddings.from_encoder, encoder, precision=torch.float32)
    lent = building.lent(words, counts - held_out, network.shape.width, lend)
    start = 0
    for table, before in zip(network.tables, drawn, strict=True):
        rows, columns = table.shape
        assert np.allclose(table.detach().numpy(), lent[start : start + rows, :columns], atol=1e-5)
        assert not torch.allclose(table, before, atol=1e-2)
        start += rows
    alone = opened(written, tmp_path / "run", "model.embeddings=")
    assert alone.key != context.key
    fresh = alone.learner().network
    alone.student.begin(fresh)
    assert all(torch.equal(one, other) for one, other in zip(fresh.tables, drawn, strict=True))


class _Killed(Exception):
    pass


def test_a_resumed_pretraining_ends_with_the_same_weights(
    written: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_CHECKPOINT_SECONDS", 0.0)
    resumed = []
    for stop in (3, 15, None):  # in the first pass and in the second

        def tell(happening: pretraining.Happening, stop: int | None = stop) -> None:
            if isinstance(happening, pretraining.Resumed):
                resumed.append(happening.done)
            if isinstance(happening, Update) and happening.done == stop:
                raise _Killed

        context = opened(written, tmp_path / "resumed")
        if stop is None:
            told = pretraining.work_through(context, tell)
        else:
            with pytest.raises(_Killed):
                pretraining.work_through(context, tell)
    assert resumed == [2, 14]
    ours = load_file(tmp_path / "resumed" / "model" / "model.safetensors")
    theirs = load_file(folder / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert told["student"]["model"] == "bidirectional GRU, 76 words"
    assert told["student"]["parameters"] == sum(value.size for value in ours.values())
    assert told["curve"][-1]["held_out_loss"]["n"] > 50


# What it leaves, and a rung that begins with it


def test_it_leaves_words_tables_and_core(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        "model.safetensors",
        "pretrained.json",
        "words.json",
    }
    about = json.loads((folder / "pretrained.json").read_text(encoding="utf-8"))
    assert (about["kind"], about["core"]) == ("compact", "gru")
    assert "classes" not in about
    kept = load_file(folder / "model.safetensors")
    assert {name.split(".")[0] for name in kept} == {"tables", "core"}
    # With a head for two labels the budget is kept.
    shape = pretrained.load(folder).student(("no", "yes"), 16).network.shape
    assert isinstance(shape.parameters, int)
    assert 7_000 < shape.parameters <= 8_000


def test_a_pretrained_student_is_a_rung(folder: Path, tmp_path: Path, toy_csv: Path) -> None:
    chosen = recipe.load(ladder(tmp_path, toy_csv, "epochs = 2\nmax_length = 8"))
    settings = chosen.resolved_rung(0)
    assert (settings.kind, settings.is_pretrained, settings.core) == ("compact", True, "gru")
    assert (settings.word_dropout, settings.learning_rate) == (0.1, 4e-3)
    context = runs.open_run(chosen, tmp_path / "run")
    model, notes = rungs.begun(context, settings, seed=3)
    assert model.max_length == 8
    state = model.network.state_dict()
    for name, value in load_file(folder / "model.safetensors").items():
        assert np.array_equal(state[name].numpy(), value), name
    assert notes == (
        "model lacks 4 weights, which start at random: attention.bias, attention.weight, output.bias, output.weight",
        "model holds 86.0% of the running words of the train texts whole, the others in pieces",
    )
    results = runs.work_through(context)
    cell = results["cells"][-1]
    assert cell["model"] == "bidirectional GRU, 76 words"
    assert cell["params"] <= 8_000
    assert cell["spent"] is None
    # The recipe that the run keeps reads as an equal one, also when the folder is gone.
    kept = tmp_path / "run" / "recipe.toml"
    assert recipe.load(kept) == chosen
    assert runs.finished(runs.open_run(recipe.load(kept), tmp_path / "run")) is not None
    (folder / "pretrained.json").rename(folder / "moved.json")
    folder.rename(tmp_path / "elsewhere")
    assert recipe.load(kept).rungs[0].word_dropout == 0.1
    with pytest.raises(ModelError, match="there is no folder"):
        runs.open_run(recipe.load(kept), tmp_path / "run")


def test_another_pretraining_is_another_rung(folder: Path, tmp_path: Path, toy_csv: Path) -> None:
    chosen = recipe.load(ladder(tmp_path, toy_csv, "epochs = 1"))
    runs.work_through(runs.open_run(chosen, tmp_path / "run"))
    found = load_file(folder / "model.safetensors")
    from safetensors.numpy import save_file

    save_file({name: value + 0.01 for name, value in found.items()}, folder / "model.safetensors")
    assert runs.finished(runs.open_run(chosen, tmp_path / "run")) is None


def test_a_convolution_keeps_its_rate(written: Path, tmp_path: Path, toy_csv: Path) -> None:
    pretraining.work_through(opened(written, tmp_path / "pretrained", "model.core=conv", "training.epochs=1"))
    settings = recipe.load(ladder(tmp_path, toy_csv)).resolved_rung(0)
    assert (settings.core, settings.learning_rate) == ("conv", 8e-3)
    student = pretrained.load(tmp_path / "pretrained" / "model").student(("a", "b", "c"), 16)
    assert isinstance(student.network, CompactNetwork)
    assert student.network.shape.core == "conv"
    assert student.network.output.out_features == 3


# What is refused


@pytest.mark.parametrize(
    ("rung", "says"),
    [
        ("max_params = 250_000", "has its own size"),
        ('core = "gru"', "has no core to choose"),
    ],
)
def test_what_the_folder_says_is_not_said_again(
    folder: Path, tmp_path: Path, toy_csv: Path, rung: str, says: str
) -> None:
    with pytest.raises(RecipeError, match=says):
        recipe.load(ladder(tmp_path, toy_csv, rung))


def test_pairs_are_refused_before_a_teacher_is_trained(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "pairs.csv"
    rows = [
        f"{one},{two},{n % 2}"
        for n, (one, two) in enumerate(zip(random_texts(60, 1), random_texts(60, 2), strict=True))
    ]
    data.write_text("\n".join(["one,two,verdict", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(ModelError, match="pretrained on single texts, and these data are pairs"):
        runs.open_run(recipe.load(ladder(tmp_path, data, text='["one", "two"]')), tmp_path / "run")


def test_it_is_no_teacher_and_no_classifier(folder: Path, tmp_path: Path, toy_csv: Path) -> None:
    with pytest.raises(RecipeError, match="which is a rung; expected a hub id"):
        recipe.load(ladder(tmp_path, toy_csv), [f"teacher.model={folder}"])
    with pytest.raises(ModelError, match="knows no task yet"):
        assets.model(folder)


@pytest.mark.parametrize("damage", ["words.json", "model.safetensors", "pretrained.json"])
def test_damage_is_told(folder: Path, damage: str) -> None:
    if damage == "words.json":
        Words(["a", "b"]).save(folder)
    else:
        (folder / damage).write_bytes(b"{}")
    with pytest.raises(ModelError, match="is damaged"):
        pretrained.load(folder)


def faults(path: Path, *sets: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        recipe.load_pretraining(path, sets)
    return caught.value.faults


def test_each_student_has_its_own_keys(written: Path, tmp_path: Path) -> None:
    assert faults(written, "model.size=femto", "model.max_params=") == [
        'model.size: found "femto", but it is for bert_hash, and the student is compact; leave it out',
        "model.max_params: missing; expected a number of parameters, such as 250_000",
    ]
    found = faults(written, "model.student=bert_hash", "model.size=femto")
    assert [line.split(":")[0] for line in found] == ["model.max_params", "model.embeddings"]
    assert "is for compact, and the student is bert_hash" in found[0]


@pytest.mark.parametrize("student", ["bag", "teacher:3"])
def test_other_students_are_refused(written: Path, student: str) -> None:
    (found,) = faults(written, f"model.student={student}")
    assert found.startswith(f'model.student: found "{student}"; expected "bert_hash" or "compact": ')


def test_a_resolved_recipe_reads_as_an_equal_one(written: Path, tmp_path: Path) -> None:
    one = recipe.load_pretraining(written)
    (tmp_path / "again.toml").write_text(recipe.dump(one), encoding="utf-8")
    assert recipe.load_pretraining(tmp_path / "again.toml") == one
    assert (one.model.core, one.model.vocabulary) == ("gru", None)
    assert one.model.embeddings is not None
    assert Path(one.model.embeddings).is_absolute()


def test_other_inputs_never_overwrite_what_is_there(written: Path, folder: Path) -> None:
    with pytest.raises(InputError, match=r"changed since: \[model\], \[training\] or seed"):
        pretraining.work_through(opened(written, folder.parent, "model.max_params=9_000"))
