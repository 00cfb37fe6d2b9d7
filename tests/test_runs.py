"""The whole road on toy data: recipe in, results and bundle out, whatever happens on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from websites import own_cache

from stepdown import Classifier, packing, recipe, runs, store
from stepdown.errors import HubError, InputError, ModelError, StoreError
from stepdown.ladder import cells, finished
from stepdown.ladder.context import Ended, Happening
from stepdown.ladder.estimate import estimate
from stepdown.ladder.plan import Cell
from stepdown.runtime import LongTexts, Source, bundle
from stepdown.students import huggingface
from stepdown.students import model as model_room
from stepdown.targets import ModelLabeller
from tests.conftest import corpus, invoke, make_teacher, run_by_two, write_reviews

Recipes = Callable[..., Path]


def run(path: Path, out: Path, *sets: str) -> tuple[dict, list[str]]:
    """Results of a run, and the cells that were worked on."""
    worked: list[str] = []

    def tell(happening: Happening) -> None:
        if isinstance(happening, Ended):
            worked.append(happening.cell)

    return runs.work_through(runs.open_run(recipe.load(path, sets), out), tell), worked


def told(results: dict) -> list[tuple]:
    """What must be equal between two runs of one recipe: everything measured but time."""
    return [
        (
            cell["id"],
            cell["params"],
            {name: value for name, value in cell["metrics"].items() if name != "ms_per_text"},
            cell["selection_metrics"],
        )
        for cell in results["cells"]
    ]


def test_a_ladder_learns_is_compared_and_packed(toy_recipe: Recipes, tmp_path: Path) -> None:
    results, worked = run(toy_recipe(), tmp_path / "run")
    assert len(worked) == 1 + 1 + 4
    by_id = {cell["id"]: cell for cell in results["cells"]}
    assert by_id["teacher"]["metrics"]["accuracy"]["value"] > 0.9
    assert by_id["rung2-chain-seed0"]["metrics"]["accuracy"]["value"] > 0.85
    assert all(cell["params"] <= 15_000 for cell in results["cells"] if cell["position"] == 2)
    assert {c["verdict"] for c in results["comparisons"]} == {
        "no difference shown"
    }  # one seed claims nothing
    for name in ("recipe.toml", "results.json", "report.html", "bundle/bundle.json"):
        assert (tmp_path / "run" / name).is_file()
    # The bundle says what the cell's model said, without torch.
    chosen = results["summary"]["bundle_cell"]
    context = runs.open_run(recipe.load(toy_recipe()), tmp_path / "run")
    kept = store.load_array(tmp_path / "run/cells" / chosen / "report.npy")
    assert kept is not None
    classifier = Classifier.load(tmp_path / "run/bundle")
    assert np.abs(classifier.logits(context.dataset.report.texts) - kept).max() < 1e-4
    texts, labels = corpus(200, seed=7)
    assert np.mean([a == b for a, b in zip(classifier.predict(texts), labels, strict=True)]) > 0.85


def test_a_second_run_does_nothing_and_a_changed_one_only_what_changed(
    toy_recipe: Recipes, tmp_path: Path
) -> None:
    first, _ = run(toy_recipe(), tmp_path / "run")
    again, worked = run(toy_recipe(), tmp_path / "run")
    assert worked == []
    assert told(again) == told(first)
    assert runs.finished(runs.open_run(recipe.load(toy_recipe()), tmp_path / "run")) is not None
    _, worked = run(toy_recipe(), tmp_path / "run", "rungs.1.epochs=1")
    assert sorted(worked) == [f"rung2-{arm}-seed0" for arm in ("chain", "dense", "direct", "one-hop")]
    (tmp_path / "more.csv").write_text("review\na fresh text with good words\n", encoding="utf-8")
    _, worked = run(toy_recipe(), tmp_path / "run", f"transfer.unlabeled={tmp_path / 'more.csv'}")
    assert "teacher" not in worked, "texts without labels are nothing to the teacher"
    assert "rung1-seed0" in worked


def test_whoever_looked_at_a_run_before_finds_its_cells_finished(toy_recipe: Recipes, tmp_path: Path) -> None:
    """As the command does: it asks whether all is finished, estimates, and works with one and the same context."""
    run(toy_recipe(), tmp_path / "run")
    context = runs.open_run(recipe.load(toy_recipe(), ["rungs.1.epochs=1"]), tmp_path / "run")
    assert runs.finished(context) is None
    ready = [one.finished for one in estimate(context).values()]
    assert ready == [True, True, False, False, False, False]
    worked: list[str] = []
    runs.work_through(context, lambda event: worked.append(event.cell) if isinstance(event, Ended) else None)
    assert sorted(worked) == [f"rung2-{arm}-seed0" for arm in ("chain", "dense", "direct", "one-hop")]


def test_labels_can_have_the_last_word(toy_recipe: Recipes, tmp_path: Path) -> None:
    path = toy_recipe(arms='["direct", "one-hop"]')
    run(path, tmp_path / "run")
    before = dict(store.read_json(tmp_path / "run/cells/rung2-one-hop-seed0/manifest.json"))
    assert (len(before["epoch_losses"]), before["gold_epoch_losses"]) == (6, [])
    # So many that no noise of a shared machine hides them: an estimate times a few steps.
    many = ["rungs.1.gold_epochs=3000"]
    estimated = [estimate(runs.open_run(recipe.load(path, s), tmp_path / "new")) for s in ([], many)]
    assert estimated[1]["rung2-one-hop-seed0"].seconds > 10 * estimated[0]["rung2-one-hop-seed0"].seconds
    sets = ["rungs.1.gold_epochs=3"]
    again, worked = run(path, tmp_path / "run", *sets)
    assert worked == ["rung2-one-hop-seed0"], "direct has the labels alone, with or without"
    after = dict(store.read_json(tmp_path / "run/cells/rung2-one-hop-seed0/manifest.json"))
    assert after["epoch_losses"] == before["epoch_losses"]
    assert len(after["gold_epoch_losses"]) == 3
    assert again["recipe"]["rungs"][1]["gold_learning_rate"] == pytest.approx(4e-4)
    shown = invoke("report", tmp_path / "run").output
    assert "direct makes none" in shown
    card = (tmp_path / "run/bundle/README.md").read_text(encoding="utf-8")
    assert ("Then it learnt from the labels alone, in 3 passes" in card) == (
        again["summary"]["bundle_cell"] == "rung2-one-hop-seed0"
    )


def test_two_teachers_teach_by_their_mean(toy_recipe: Recipes, tmp_path: Path) -> None:
    path = toy_recipe(arms='["direct", "one-hop", "dense"]')
    other = make_teacher(tmp_path / "other-teacher", hidden_dropout_prob=0.0)
    both = f'teacher.model=["{tmp_path / "toy-teacher"}", "{other}"]'
    context = runs.open_run(recipe.load(path, [both]), tmp_path / "run")
    assert [line.split(" (")[0] for line in runs.check_teacher(context)[::2]] == [
        str(tmp_path / "toy-teacher"),
        str(other),
    ]
    costs = estimate(context)
    assert list(costs)[:3] == ["teacher-1", "teacher-2", "teacher"]
    assert costs["rung1-seed0"].asking > costs["rung2-dense-seed0"].asking
    results, worked = run(path, tmp_path / "run", both)
    assert worked[:3] == ["teacher-1", "teacher-2", "teacher"]
    # Programs that read results find one teacher, first, as ever.
    told_of = results["cells"]
    assert [(cell["id"], cell["kind"]) for cell in told_of if cell["position"] == 0] == [
        ("teacher", "teacher")
    ]
    assert told_of[0]["id"] == "teacher"
    assert [row["position"] for row in results["rungs"]] == [0, 1, 2, 2, 2]
    known = {cell["id"] for cell in told_of}
    assert all(set(cell["teachers"]) <= known for cell in told_of)
    one, two = results["members"]
    assert (one["id"], two["id"]) == ("teacher-1", "teacher-2")
    assert told_of[0]["params"] == one["params"] + two["params"]
    assert results["rungs"][-1]["times_smaller"] == pytest.approx(
        told_of[0]["params"] / told_of[-1]["params"]
    )
    # The last rung learns by squared error: the mean of the margins, by hand.
    said = {
        name: store.load_array(tmp_path / f"run/cells/{name}/report.npy")
        for name in ("teacher-1", "teacher-2", "teacher")
    }
    margins = {name: array[:, 1] - array[:, 0] for name, array in said.items() if array is not None}
    assert not np.allclose(margins["teacher-1"], margins["teacher-2"], atol=1e-2)
    mean = (margins["teacher-1"] + margins["teacher-2"]) / 2
    assert np.allclose(margins["teacher"], mean, atol=1e-5)
    labels = context.dataset.report.labels
    assert told_of[0]["metrics"]["accuracy"]["value"] == pytest.approx(np.mean((mean > 0) == labels))
    manifest = store.read_json(tmp_path / "run/cells/rung2-one-hop-seed0/manifest.json")
    assert len(manifest["targets"]) == 2
    about = store.read_json(tmp_path / "run/bundle/bundle.json")
    assert [source["name"] for source in about["sources"] if source["role"] == "teacher"] == [
        "toy-teacher",
        "other-teacher",
    ]
    assert "The teacher is the mean of 2 models" in invoke("report", tmp_path / "run").output
    with pytest.raises(
        InputError, match=r"mean of several models, which no bundle holds.*teacher-1, teacher-2"
    ):
        packing.export_cell(tmp_path / "run", "teacher", tmp_path / "none.stepdown")
    packing.export_cell(tmp_path / "run", "teacher-2", tmp_path / "member.stepdown")
    # Nothing is done twice, and each is a cell of its own.
    assert run(path, tmp_path / "run", both)[1] == []
    third = make_teacher(tmp_path / "third-teacher", hidden_dropout_prob=0.3)
    _, worked = run(path, tmp_path / "run", both.replace(str(other), str(third)), "compare.arms=direct")
    assert worked == ["teacher-2", "teacher", "rung2-direct-seed0"]


def test_each_of_several_teachers_is_matched_with_the_labels_by_itself(
    toy_recipe: Recipes, tmp_path: Path
) -> None:
    path = toy_recipe(arms='["one-hop"]')
    context = runs.open_run(recipe.load(path, ["compare.arms=direct"]), tmp_path / "run")
    cells.work(context, context.plan.cells[0])
    trained = tmp_path / "run" / "cells" / "teacher"
    renamed = shutil.copytree(trained, tmp_path / "renamed")
    config = json.loads((renamed / "config.json").read_text(encoding="utf-8"))
    config |= {"id2label": {"0": "bad", "1": "good"}, "label2id": {"bad": 0, "good": 1}}
    (renamed / "config.json").write_text(json.dumps(config), encoding="utf-8")
    both = f'teacher.model=["{trained}", "{renamed}"]'
    with pytest.raises(ModelError, match=r"renamed: The teacher's labels \(bad, good\) are not the data's"):
        runs.check_teacher(runs.open_run(recipe.load(path, [both]), tmp_path / "both"))
    matched = [both, 'teacher.label_map={bad="negative", good="positive"}']
    lines = runs.check_teacher(runs.open_run(recipe.load(path, matched), tmp_path / "both"))
    assert sum("is right on" in line for line in lines) == 2


def test_hints_are_of_the_teacher_and_leave_no_trace_in_what_is_kept(
    toy_recipe: Recipes, tmp_path: Path
) -> None:
    path = toy_recipe()
    before, _ = run(path, tmp_path / "run")
    after, worked = run(path, tmp_path / "run", "rungs.1.hint_weight=1.0")
    # The others have no teacher at the top.
    assert worked == ["rung2-one-hop-seed0", "rung2-dense-seed0"]
    for name in worked:
        cell = tmp_path / "run" / "cells" / name
        other = tmp_path / "run" / "cells" / "rung2-chain-seed0"
        assert set(load_file(cell / "model.safetensors")) == set(load_file(other / "model.safetensors"))
        old, new = (store_of[name] for store_of in (_by_id(before), _by_id(after)))
        assert (new["params"], new["bytes"]) == (old["params"], old["bytes"])
        assert new["metrics"]["nll"] != old["metrics"]["nll"]
    assert run(path, tmp_path / "run", "rungs.1.hint_weight=1.0")[1] == []


def _by_id(results: dict) -> dict[str, dict]:
    return {cell["id"]: cell for cell in results["cells"]}


def test_killed_and_started_again_it_equals_an_undisturbed_run(
    toy_recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toy_recipe()
    whole, _ = run(path, tmp_path / "whole")
    # With a cache of its own: targets of the undisturbed run would make any two runs equal.
    monkeypatch.setenv("STEPDOWN_CACHE", str(tmp_path / "another cache"))
    command = [sys.executable, "-m", "stepdown", "run", str(path), "--out", str(tmp_path / "killed")]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=os.environ)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed" / "cells").glob("rung1*")) and time.monotonic() < deadline:
        assert started.poll() is None
        time.sleep(0.05)
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert not (tmp_path / "killed" / "results.json").exists()
    resumed, worked = run(path, tmp_path / "killed")
    assert "teacher" not in worked
    assert told(resumed) == told(whole)


def test_what_cards_tell_is_told_anew_when_the_recipe_says_otherwise(
    toy_recipe: Recipes, tmp_path: Path
) -> None:
    path = toy_recipe(arms='["one-hop"]')
    source = '\n[[sources]]\nname = "one/data"\nrole = "data"\nlicence = "{}"\n'
    plain = path.read_text(encoding="utf-8")
    for licence in ("Apache-2.0", "CC-BY-NC-4.0"):
        path.write_text(plain + source.format(licence), encoding="utf-8")
        done = invoke("run", path, "--out", tmp_path / "run")
        assert done.exit_code == 0, done.output
        about = json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text(encoding="utf-8"))
        assert [one["licence"] for one in about["sources"]] == [licence]
        assert licence in (tmp_path / "run" / "recipe.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("library", ["transformers", "tokenizers", "torch"])
def test_another_version_of_a_library_makes_cells_and_targets_anew(
    toy_recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    context = runs.open_run(recipe.load(toy_recipe()), tmp_path / "run")
    model = huggingface.load(context.models[context.recipe.teacher.model[0]], ("a", "b"), max_length=16).model
    labeller = ModelLabeller(model, "a teacher", torch.float32)

    def keys() -> tuple[str, str]:
        return finished.key(context, context.plan.cells[0]), labeller.key("a chunk")

    before = keys()
    assert keys() == before
    monkeypatch.setattr(getattr(model_room, library), "__version__", "99")
    assert not set(keys()) & set(before)


def test_a_process_that_looks_late_does_not_leave_the_others_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes, here threads, the main one could finish a mean of teachers before the other had looked."""
    barrier = threading.Barrier(2, timeout=20)

    def manifest_of(context: SimpleNamespace, cell: Cell) -> dict | None:
        time.sleep(0 if context.accelerator.is_main_process else 0.3)
        return store.finished(context.folder(cell), "key")

    monkeypatch.setattr(cells, "manifest_of", manifest_of)
    monkeypatch.setattr(cells, "key", lambda context, cell: "key")
    monkeypatch.setattr(cells, "_kept", lambda *_: {"metrics": {}, "model": "a mean"})

    def process(is_main: bool) -> list[str]:
        told: list[str] = []
        context = SimpleNamespace(
            accelerator=SimpleNamespace(wait_for_everyone=barrier.wait, is_main_process=is_main),
            folder=lambda cell: tmp_path / cell.id,
            tell=lambda happening: told.append(type(happening).__name__),
            given=None,
            manifests={},
            trained={},
            metric="accuracy",
        )
        cells.work(context, Cell("teacher", 0, None, 0, ("teacher-1", "teacher-2")))  # type: ignore[arg-type]
        return told

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(process, (True, False))) == [["Begun", "Ended"]] * 2


def test_a_teacher_that_knows_nothing_stops_the_run(toy_recipe: Recipes, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"The teacher does not know this task: it is right on"):
        run(toy_recipe(), tmp_path / "run", "teacher.learning_rate=1e-9", "teacher.epochs=1")
    assert not (tmp_path / "run" / "cells").exists()


def test_two_runs_never_work_in_one_folder(toy_recipe: Recipes, tmp_path: Path) -> None:
    context = runs.open_run(recipe.load(toy_recipe()), tmp_path / "run")
    with (
        store.lock(tmp_path / "run" / ".lock", "another run works here", wait=False),
        pytest.raises(StoreError, match="another run works"),
    ):
        runs.work_through(context)


def test_a_teacher_with_too_many_layers_asked_of_it(toy_recipe: Recipes, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"teacher:2 keeps 2 layers, but the teacher has 2"):
        run(toy_recipe(), tmp_path / "run", "rungs.0.model=teacher:2")


def test_the_plan_is_shown_before_time_is_spent(toy_recipe: Recipes, tmp_path: Path) -> None:
    shown = invoke("run", toy_recipe(), "--out", tmp_path / "run", "--dry-run", "--json")
    assert shown.exit_code == 0, shown.output
    plan = json.loads(shown.stdout)
    assert [cell["id"] for cell in plan["cells"]][:2] == ["teacher", "rung1-seed0"]
    assert all(cell["seconds"] > 0 and not cell["finished"] for cell in plan["cells"])
    assert not (tmp_path / "run").exists()


def test_any_cell_can_be_packed(toy_recipe: Recipes, tmp_path: Path) -> None:
    run(toy_recipe(arms='["chain"]'), tmp_path / "run")
    target = tmp_path / "mine.stepdown"
    packing.export_cell(tmp_path / "run", "rung1-seed0", target)
    assert set(Classifier.load(target).predict(["a good word1", "a bad word2"])) <= {"negative", "positive"}
    for content in bundle.read(target).files.values():
        assert str(tmp_path).encode() not in content
        assert b"site-packages" not in content

    whole = Classifier.load(tmp_path / "run/bundle")
    words = ("--weights", "int8", "--max-length", "100", "--long-texts", "whole-and-sentences")
    sources = tmp_path / "sources.toml"
    sources.write_text(
        '[[sources]]\nname = "Letters"\nrole = "data"\nlicence = "CC0-1.0"\n', encoding="utf-8"
    )
    words = (*words, "--rename", "negative=bad", "--name", "verdicts", "--sources", str(sources))
    packed = invoke("export", tmp_path / "run", "--out", tmp_path / "small.stepdown", *words)
    assert packed.exit_code == 0, packed.output
    assert "texts get another label" in packed.stderr
    small = Classifier.load(tmp_path / "small.stepdown")
    assert small.label_names == ("bad", "positive")
    assert (small.max_length, small.long_texts) == (100, LongTexts(32, "whole-and-sentences"))
    assert small.about.weights.type == "int8"
    assert small.about.sources == (Source("Letters", "data", "CC0-1.0"),)
    for said in (
        "# verdicts",
        "bad, positive",
        "data: Letters (licence: CC0-1.0)",
        "Stored as int8, as they are",
    ):
        assert said in small.card
    assert str(tmp_path) not in small.card + str(small.about)
    texts = corpus(200, seed=7)[0]
    assert np.abs(small.predict_proba(texts) - whole.predict_proba(texts)).max() < 0.05
    assert small.read(["good " * 90])[1].tolist() == [False]

    # A transformer's too, traced; its positions end at 64.
    rung = packing.Wishes(weights="int8", max_length=64, long_texts="sentences", accept_loss=True)
    target, cost = packing.export_cell(tmp_path / "run", "rung1-seed0", tmp_path / "rung1.stepdown", rung)
    assert cost is not None
    assert cost.flips <= 5
    assert Classifier.load(target).long_texts == LongTexts(32, "sentences")
    with pytest.raises(ModelError, match=r"reads 64 tokens of a text at most, and not 65"):
        packing.export_cell(tmp_path / "run", "rung1-seed0", None, packing.Wishes(max_length=65))


@pytest.fixture(scope="module")
def packable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one compact student."""
    folder = tmp_path_factory.mktemp("packable")
    source = write_reviews(folder / "reviews.csv")
    make_teacher(folder / "teacher")
    rung = {"model": "compact", "max_params": 15_000, "epochs": 6, "batch_size": 32}
    chosen = recipe.parse(
        {
            "name": "packable",
            "data": {"source": str(source), "text": "review", "label": "verdict"},
            "teacher": {"model": str(folder / "teacher"), "epochs": 4, "learning_rate": 2e-3},
            "rungs": [rung],
            "compare": {"arms": ["direct"], "seeds": 1},
        }
    )
    runs.work_through(runs.open_run(chosen, folder / "run"))
    return folder / "run"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rename", "x=y"), "no label 'x' to rename. It has: negative, positive"),
        (("--rename", "negative=positive"), "two labels would have one name"),
        (("--rename", "negative"), "expected OLD=NEW"),
        (("--rename", "negative=a", "--rename", "negative=b"), "names the label 'negative' twice"),
        (("--sources", "nowhere.toml"), "no such file"),
    ],
)
def test_what_cannot_be_packed_so_is_told(
    words: tuple[str, ...], says: str, packable: Path, tmp_path: Path
) -> None:
    found = invoke("export", packable, "--out", tmp_path / "b", *words)
    assert isinstance(found.exception, InputError)
    assert says in str(found.exception)
    assert not (tmp_path / "b").exists()


def test_a_model_of_a_run_becomes_a_folder_for_the_web(
    packable: Path, own_environment: dict[str, str], tmp_path: Path
) -> None:
    with own_cache(own_environment):
        words = ("--weights", "int8", "--rename", "negative=bad", "--name", "verdicts")
        found = invoke("export", packable, "--format", "web", "--out", tmp_path / "site", *words)
    if isinstance(found.exception, HubError):
        pytest.skip(f"needs onnxruntime-web from npm's registry: {found.exception}")
    assert found.exit_code == 0, found.output
    assert "Stored as int8" in found.stderr
    packed = Classifier.load(tmp_path / "site" / "bundle")
    assert packed.label_names == ("bad", "positive")
    assert packed.about.weights.type == "int8"
    assert "<title>verdicts · stepdown</title>" in (tmp_path / "site/index.html").read_text(encoding="utf-8")


def test_check_texts_of_older_runs_are_read(packable: Path, tmp_path: Path) -> None:
    kept = json.loads((packable / "check-texts.json").read_text(encoding="utf-8"))
    sizes = json.loads((packable / "results.json").read_text(encoding="utf-8"))["data"]
    labels = np.array(kept["labels"])
    assert len(labels) == len(kept["texts"]) == sizes["report"] + sizes["selection"] + sizes["transfer"]
    assert (labels >= 0).sum() == sizes["selection"]
    assert (labels[: sizes["report"]] == -1).all(), "nothing may be decided by these"
    store.write_json(packable / "check-texts.json", kept["texts"][:61])
    _, cost = packing.export_cell(packable, None, tmp_path / "b", packing.Wishes(weights="int8"))
    assert cost is not None
    assert (cost.texts, cost.labelled, cost.before) == (61, 0, None)
    store.write_json(packable / "check-texts.json", kept)


def test_two_processes_train_one_ladder_together(toy_recipe: Recipes, tmp_path: Path) -> None:
    """As torchrun and `accelerate launch` start them: both train, one writes."""
    path, out = toy_recipe(arms='["direct", "chain"]'), tmp_path / "run"
    run_by_two(path, out)
    results = store.read_json(out / "results.json")
    assert [cell["id"] for cell in results["cells"]] == [
        "teacher",
        "rung1-seed0",
        "rung2-direct-seed0",
        "rung2-chain-seed0",
    ]
    assert min(cell["metrics"]["accuracy"]["value"] for cell in results["cells"]) > 0.85
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["cell"] for line in lines if line["event"] == "ended"] == [c["id"] for c in results["cells"]]


def test_the_results_tell_of_the_transfer_texts(toy_recipe: Recipes, tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    held_out = runs.open_run(recipe.load(toy_recipe()), tmp_path / "run").dataset.report.texts[0]
    more.write_text("\n".join(["review", "a fresh text with good words", held_out]) + "\n", encoding="utf-8")
    results, _ = run(toy_recipe(), tmp_path / "run", f"transfer.unlabeled={more}", "rungs.1.epochs=1")
    (source,) = results["data"]["transfer_facts"]["sources"]
    assert (source["texts"], source["kept"], source["overlapping"]) == (2, 1, 1)
    assert results["summary"]["times_faster"] == next(
        row["times_faster"]
        for row in results["rungs"]
        if row["position"] == 2 and row["arm"] in results["summary"]["bundle_cell"]
    )


def test_results_of_another_recipe_do_not_outlive_a_new_one(toy_recipe: Recipes, tmp_path: Path) -> None:
    run(toy_recipe(arms='["one-hop"]'), tmp_path / "run")

    def stop(happening: Happening) -> None:
        if isinstance(happening, Ended):
            raise KeyboardInterrupt

    context = runs.open_run(recipe.load(toy_recipe(arms='["chain"]')), tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        runs.work_through(context, stop)
    assert invoke("report", tmp_path / "run").exit_code != 0
    assert not (tmp_path / "run" / "results.json").exists()


def test_what_a_bundle_says_of_itself_names_no_folder_of_the_users(
    toy_recipe: Recipes, tmp_path: Path
) -> None:
    run(toy_recipe(arms='["one-hop"]'), tmp_path / "run")
    bundle = tmp_path / "run" / "bundle"
    about = store.read_json(bundle / "bundle.json")
    assert {source["name"] for source in about["sources"]} == {"reviews.csv", "toy-teacher"}
    assert str(tmp_path) not in (bundle / "README.md").read_text(encoding="utf-8")


def test_a_run_that_was_moved_is_shown_where_it_is(toy_recipe: Recipes, tmp_path: Path) -> None:
    run(toy_recipe(arms='["one-hop"]'), tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    shown = invoke("report", tmp_path / "moved")
    assert f"Bundle: {tmp_path / 'moved' / 'bundle'}" in shown.output


def test_rungs_that_no_arm_asks_for_are_told(toy_recipe: Recipes, tmp_path: Path) -> None:
    shown = invoke("run", toy_recipe(arms='["one-hop"]'), "--out", tmp_path / "run", "--dry-run")
    assert "rungs that no arm asks for, not trained (add chain or dense to compare.arms): 1" in shown.output
    run(toy_recipe(arms='["one-hop"]'), tmp_path / "run")
    assert "No arm asks for rung 1: not trained." in " ".join(
        invoke("report", tmp_path / "run").output.split()
    )


def test_a_full_memory_is_told_and_other_errors_of_torch_are_not_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from stepdown import cli as commands

    def fails(error: Exception) -> None:
        monkeypatch.setattr(commands.cli, "main", lambda **_: (_ for _ in ()).throw(error))
        commands.main()

    with pytest.raises(SystemExit) as caught:
        fails(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert caught.value.code == 1
    assert "the memory of this machine is full" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        fails(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_a_mistake_is_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text('nme = "x"\n[teacher]\n', encoding="utf-8")
    command = [sys.executable, "-m", "stepdown", "run", str(tmp_path / "wrong.toml")]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    assert "nme" in found.stderr
    assert not (tmp_path / "runs").exists()


def test_a_fine_tuned_teacher_is_taken_as_it_is(toy_recipe: Recipes, tmp_path: Path) -> None:
    results, _ = run(toy_recipe(arms='["one-hop"]'), tmp_path / "first")
    second = tmp_path / "first/cells/teacher"
    again, _ = run(toy_recipe(arms='["one-hop"]'), tmp_path / "second", f"teacher.model={second}")
    manifest = store.read_json(tmp_path / "second/cells/teacher/manifest.json")
    assert manifest["fine_tuned"] is False
    assert again["cells"][0]["metrics"]["accuracy"] == results["cells"][0]["metrics"]["accuracy"]


def test_a_toy_teacher_is_no_classifier_yet(tmp_path: Path) -> None:
    from stepdown.students import saved

    with pytest.raises(ModelError, match="no trained classification head"):
        saved.load(make_teacher(tmp_path / "headless"))
