"""The Hugging Face hub, as its client libraries see it: a server that speaks its protocol, with all that goes wrong."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datasets", reason="needs the extra train")

from tests import hub_content as content
from tests.hub_server import Hub
from tests.hub_user import QUICK, Client, opened, stepdown

TOY = {"config.json": b"{}", "vocab.txt": b"a\nb\n", "model.safetensors": b"weights " * 1000}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The repositories of the reference recipe, small."""
    return {
        content.TEACHER: content.teacher(),
        content.MINI: content.pretrained(2, 32, old_names=True),
        content.TINY: content.pretrained(1, 16),
        content.FEMTO: content.bert_hash(tmp_path_factory.mktemp("femto")),
        content.GLUE: content.glue(),
        content.IMDB: content.imdb(),
    }


@pytest.fixture
def hub() -> Iterator[Hub]:
    running = Hub()
    yield running
    running.close()


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Client]]:
    running = Hub()
    client = Client(running, tmp_path_factory.mktemp("home"))
    yield running, client
    client.close()
    running.close()


@pytest.fixture
def shared(_shared: tuple[Hub, Client]) -> tuple[Hub, Client]:
    """A hub and a client that tests share, each with repositories of its own: starting a client takes seconds."""
    _shared[0].requests.clear()
    _shared[0].faults.clear()
    return _shared


@pytest.fixture
def full_hub(hub: Hub, reference: dict[str, dict[str, bytes]]) -> Hub:
    """A hub with all that the reference recipe names."""
    for name, files in reference.items():
        hub.add("datasets" if name in (content.GLUE, content.IMDB) else "models", name, files)
    return hub


def model(name: str, **more: Any) -> dict[str, Any]:
    return {"model": name, **more}


def data(name: str, **more: Any) -> dict[str, Any]:
    return {"data": name, **more}


def names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


# --- what is there


def test_the_reference_models_are_fetched_without_code_and_recorded(full_hub: Hub, tmp_path: Path) -> None:
    full_hub.tokens.add("hf_mine")
    wanted = [content.TEACHER, content.MINI, content.FEMTO.lower()]
    found = opened(full_hub, tmp_path, *(model(name, token="hf_mine") for name in wanted))
    teacher, mini, femto = (one["folder"] for one in found)
    assert names(mini) == {"README.md", "config.json", "pytorch_model.bin", "vocab.txt"}
    assert names(teacher) == names(mini) | {"tokenizer_config.json", "special_tokens_map.json"}
    assert names(femto) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer_config.json",
        "vocab.txt",
    }
    assert not full_hub.asked(r"\.py$"), "code that lies beside a model is not even asked for"
    head = full_hub.repositories["models", content.FEMTO.lower()].head
    assert found[2]["taken"] == {f"model {content.FEMTO.lower()}": head}
    # The hub knows who asks; the host that it sends us to for large files does not.
    assert {(one.host, one.token) for one in full_hub.requests} == {
        ("127.0.0.1", "hf_mine"),
        ("localhost", None),
    }


def test_the_reference_data_are_read_by_configuration_and_split(full_hub: Hub, tmp_path: Path) -> None:
    sst2, unlabelled, several, other, split = opened(
        full_hub,
        tmp_path,
        data(f"{content.GLUE}:sst2"),
        data(f"{content.IMDB}:plain_text#unsupervised"),
        data(content.GLUE),
        data(f"{content.GLUE}:sst3"),
        data(f"{content.GLUE}:sst2#dev"),
    )
    assert {name: (one["rows"], one["labels"]) for name, one in sst2["splits"].items()} == {
        "train": (700, [0, 1]),
        "validation": (200, [0, 1]),
        "test": (50, [-1]),
    }
    assert sst2["splits"]["train"]["columns"] == ["sentence", "label", "idx"]
    assert sst2["splits"]["train"]["label_names"] == {"label": ["negative", "positive"]}
    assert sst2["taken"] == {f"dataset {content.GLUE}": full_hub.repositories["datasets", content.GLUE].head}
    assert unlabelled["splits"]["train"]["labels"] == [-1]
    assert (several["error"], several["code"]) == ("DataError", 2)
    assert "name one as nyu-mll/glue:NAME. There are: ax, cola, sst2." in several["says"]
    assert "no configuration 'sst3'" in other["says"]
    assert "no split 'dev'. Its splits are: train, validation, test." in split["says"]
    # Of all its files the three of one configuration: they are large ones, which another host keeps.
    assert full_hub.asked("GET /cdn/") == 3 + 3


def test_data_that_are_code_are_not_run(shared: tuple[Hub, Client]) -> None:
    hub, client = shared
    hub.add(
        "datasets", "owner/coded", {"README.md": b"# Data\n", "coded.py": content.ALARM, "rows.bin": b"1"}
    )
    hub.add("datasets", "owner/empty", {"README.md": b"# Data\n"})
    for found in client.opened(data("owner/coded"), data("owner/empty")):
        assert (found["error"], found["code"]) == ("DataError", 2)
        assert "code from a hub is not run" in found["says"]


def test_data_that_are_damaged_are_told(shared: tuple[Hub, Client]) -> None:
    hub, client = shared
    hub.add("datasets", "owner/damaged", {"README.md": b"# Data\n", "train.parquet": b"PAR1 and no more"})
    (found,) = client.opened(data("owner/damaged"))
    assert found["error"] == "HubError"
    assert "owner/damaged: its files cannot be read as a table: ArrowInvalid" in found["says"]


def test_large_downloads_tell_how_far_they_are(shared: tuple[Hub, Client]) -> None:
    hub, client = shared
    weights = os.urandom(25_000_000)  # the client reads ten megabytes at a time
    hub.add("models", "owner/large", {**TOY, "model.safetensors": weights})
    hub.add("models", "owner/small", TOY)
    large, again, small = client.opened(*map(model, ("owner/large", "owner/large", "owner/small")))
    total = len(weights) + len(TOY["config.json"]) + len(TOY["vocab.txt"])
    assert {(name, whole) for name, _, whole in large["told"]} == {("owner/large", total)}
    done = [one for _, one, _ in large["told"]]
    assert done[0] == 0
    assert done[-1] == total
    assert done == sorted(done)
    assert any(10_000_000 <= one < total for one in done), "somewhere in between"
    assert again["told"] == small["told"] == []


# --- what is not, or not for everybody


def test_what_the_hub_lacks_is_told_in_one_line(shared: tuple[Hub, Client]) -> None:
    hub, client = shared
    hub.tokens.add("hf_mine")
    hub.add("models", "owner/known", TOY)
    hub.add("models", "owner/bare", {"config.json": b"{}"})
    hub.add("models", "owner/odd", {"model.safetensors": b"weights"})
    found = client.opened(
        model("owner/absent"),
        model("owner/absent", token="hf_mine"),
        model("owner/known", revision="v9"),
        model("owner/bare"),
        model("owner/odd"),
        data("owner/absent"),
        data("owner/absent:x#y", token="hf_mine"),
    )
    assert [one["error"] for one in found] == ["ModelError"] * 5 + ["DataError"] * 2
    assert {one["code"] for one in found} == {2}
    expected = [
        "owner/absent is neither a folder here nor a model on the Hugging Face hub",
        "if it is private, the token in use may not read it",
        "owner/known has no revision 'v9' on the hub",
        "owner/bare has no weights that can be read here",
        "owner/odd has no config.json",
        "owner/absent is neither a file or folder here nor a data set on the Hugging Face hub",
        "the token in use may not read it",
    ]
    for one, says in zip(found, expected, strict=True):
        assert says in one["says"]


def test_private_and_gated_repositories_ask_for_the_right_token(shared: tuple[Hub, Client]) -> None:
    hub, client = shared
    table = content.glue(20, 20)
    mine = frozenset({"hf_mine"})
    hub.tokens |= {"hf_other"}
    for kind, files in (("models", TOY), ("datasets", table)):
        hub.add(kind, "owner/private", files, readers=mine)  # type: ignore[arg-type]
        hub.add(kind, "owner/gated", files, readers=mine, gated=True)  # type: ignore[arg-type]
    tokens = (None, "hf_wrong", "hf_other", "hf_mine")
    kinds = [
        (kind, f"owner/{name}{part}")
        for kind, part in ((model, ""), (data, ":sst2"))
        for name in ("private", "gated")
    ]
    found = client.opened(*(kind(name, token=token) for kind, name in kinds for token in tokens))
    for private, gated in ((found[:4], found[4:8]), (found[8:12], found[12:])):
        assert [one.get("code", 0) for one in private] == [2, 1, 2, 0]
        assert [one.get("code", 0) for one in gated] == [1, 1, 1, 0]
        assert "if it is private, set HF_TOKEN to a token that may read it" in private[0]["says"]
        assert "if it is private, the token in use may not read it" in private[2]["says"]
        for wrong in (private[1], gated[1]):
            assert "the hub does not know the token that it was given" in wrong["says"]
            assert "(401)" in wrong["says"]
        assert "is gated" in gated[0]["says"]
        assert "set HF_TOKEN to a token of it" in gated[0]["says"]
        assert "is gated" in gated[2]["says"]
        assert "the account of your token" in gated[2]["says"]


def test_a_token_that_may_not_read_is_told(shared: tuple[Hub, Client]) -> None:
    hub, client = shared
    hub.tokens.add("hf_mine")
    hub.add("models", "owner/forbidden", TOY)
    hub.fail("/api/models/owner/forbidden", 403)
    bare, with_token = client.opened(model("owner/forbidden"), model("owner/forbidden", token="hf_mine"))
    assert "refused access to owner/forbidden (403). Set HF_TOKEN" in bare["says"]
    assert "(403): the token in use may not read it" in with_token["says"]
    assert bare["code"] == with_token["code"] == 1


# --- without a network


def test_offline_a_full_cache_serves_and_an_empty_one_says_what_to_do(full_hub: Hub, tmp_path: Path) -> None:
    steps = [model(content.MINI), data(f"{content.GLUE}:sst2")]
    client = Client(full_hub, tmp_path)
    online = client.opened(*steps)
    asked = len(full_hub.requests)
    offline = opened(full_hub, tmp_path, *steps, data(f"{content.GLUE}:cola"), HF_HUB_OFFLINE="1")
    assert [(one.get("folder"), one.get("splits"), one.get("taken")) for one in offline[:2]] == [
        (one.get("folder"), one.get("splits"), one["taken"]) for one in online
    ]
    assert "the hub's cache holds another configuration than 'cola'" in offline[2]["says"]
    empty = opened(full_hub, tmp_path / "empty", *steps, HF_HUB_OFFLINE="1")
    assert len(full_hub.requests) == asked, "offline means offline"
    for one in empty:
        assert (one["error"], one["code"]) == ("HubError", 1)
        assert "HF_HUB_OFFLINE keeps it from being fetched. Unset it once" in one["says"]
    # A hub that is gone is as good as none.
    full_hub.close()
    gone = client.opened(*steps, model("owner/other"), data("owner/other"))
    client.close()
    assert [one.get("taken") for one in gone[:2]] == [one["taken"] for one in online]
    for one in gone[2:]:
        assert (one["error"], one["code"]) == ("HubError", 1)
        assert f"{full_hub.url} cannot be reached" in one["says"]
        assert "HF_ENDPOINT" in one["says"]


def test_a_cache_that_other_tools_filled_serves_offline(hub: Hub, tmp_path: Path) -> None:
    repository, commit = (
        tmp_path / "hf" / "hub" / "models--owner--toy",
        "0123456789abcdef0123456789abcdef01234567",
    )
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).write_bytes(TOY[name])
    (found,) = opened(hub, tmp_path, model("owner/toy"), HF_HUB_OFFLINE="1")
    assert found["folder"] == str(snapshot)
    assert found["taken"] == {"model owner/toy": commit}


# --- troubles


def test_troubles_that_pass_are_waited_for(hub: Hub, tmp_path: Path) -> None:
    """A repository for each trouble; what comes in the end is whole."""
    faults = {
        "described": lambda at: hub.fail("/api/models/owner/described", 500, times=2),
        "limited": lambda at: hub.fail("/api/models/owner/limited", 429, times=1, **{"Retry-After": "1"}),
        "rated": lambda at: hub.fail("/api/models/owner/rated", 429, times=1, RateLimit='"api";r=0;t=1'),
        "silent": lambda at: hub.stall("/api/models/owner/silent", times=1),
        "asked": lambda at: hub.fail("HEAD /owner/asked/resolve", 503, times=1),
        "refused": lambda at: hub.fail(f"GET {at}", 503, times=1),
        "cut": lambda at: hub.cut(f"GET {at}", share=0.9, times=1),
        "reset": lambda at: hub.reset(f"GET {at}", times=1),
        "stalled": lambda at: hub.stall(f"GET {at}", times=1),
    }
    bodies = {}
    for name, fault in faults.items():
        # The client writes ten megabytes at a time, and goes on after the last of them.
        bodies[name] = os.urandom(12_000_000 if name == "cut" else 100_000)
        made = hub.add("models", f"owner/{name}", {**TOY, "model.safetensors": bodies[name]})
        fault(hub.large(made, "model.safetensors"))
    found = opened(hub, tmp_path, *(model(f"owner/{name}") for name in faults), **QUICK)
    for (name, body), one in zip(bodies.items(), found, strict=True):
        assert "folder" in one, one
        assert (Path(one["folder"]) / "model.safetensors").read_bytes() == body, name
    assert all(fault.times == 0 for fault in hub.faults), "every trouble was met"
    assert {one.range for one in hub.requests if one.range} == {f"bytes={10 << 20}-"}, (
        "it goes on where it was cut"
    )


def test_troubles_with_data_that_pass_are_waited_for(shared: tuple[Hub, Client]) -> None:
    hub, client = shared
    made = hub.add("datasets", "owner/troubled", content.glue(20, 20))
    at = hub.large(made, "sst2/train-00000-of-00001.parquet")
    hub.fail("/api/datasets/", 500, times=1)
    hub.fail("GET .*README.md", 500, times=1)
    hub.cut(f"GET {at}", times=1)
    (found,) = client.opened(data("owner/troubled:sst2"))
    assert found["splits"]["train"]["rows"] == 20
    assert all(fault.times == 0 for fault in hub.faults)


def test_troubles_that_stay_are_told_and_leave_nothing_half_written(shared: tuple[Hub, Client]) -> None:
    hub, client = shared
    for name in ("down", "limited", "cut"):
        made = hub.add("models", f"owner/{name}", {**TOY, "model.safetensors": os.urandom(50_000)})
    at = hub.large(made, "model.safetensors")
    hub.add("datasets", "owner/down", content.glue(20, 20))
    hub.fail("/api/(models|datasets)/owner/down", 500)
    hub.fail("/api/models/owner/limited", 429, **{"Retry-After": "3600"})
    hub.cut(f"GET {at}")
    wanted = [model("owner/down"), model("owner/limited"), model("owner/cut"), data("owner/down:sst2")]
    down, limited, cut, data_down = client.opened(*wanted)
    assert {(one["error"], one["code"]) for one in (down, limited, cut, data_down)} == {("HubError", 1)}
    for one in (down, data_down):
        assert "could not be fetched: the hub answered 500. That may pass" in one["says"]
    assert "the hub answered 429 and asks to wait 3600 seconds" in limited["says"]
    assert "stood still or hung up before all was there" in cut["says"]
    assert hub.asked("/api/models/owner/down") == 4, "a first time, and three more after short waits"
    assert hub.asked("/api/models/owner/limited") == 1, "who asks for an hour is not asked again"
    kept = {path for path in (client.home / "hf").rglob("*") if path.is_file() and "owner--cut" in str(path)}
    assert not any(path.suffix == ".incomplete" or path.name == "model.safetensors" for path in kept)
    # Neither with nor without a network is half a model taken for one.
    (offline,) = opened(hub, client.home, model("owner/cut"), HF_HUB_OFFLINE="1")
    assert offline["error"] == "HubError"
    hub.faults.clear()
    (healed,) = client.opened(model("owner/cut"))
    assert (Path(healed["folder"]) / "model.safetensors").read_bytes() == made.commits[made.head][
        "model.safetensors"
    ]


@pytest.mark.slow  # the client's own patience
def test_a_download_that_stands_still_for_good_is_given_up(hub: Hub, tmp_path: Path) -> None:
    made = hub.add("models", "owner/toy", TOY)
    hub.stall(f"GET {hub.large(made, 'model.safetensors')}")
    hub.fail("HEAD /owner/other", 500)
    hub.add("models", "owner/other", TOY)
    stalled, other = opened(hub, tmp_path, model("owner/toy"), model("owner/other"), **QUICK)
    assert "stood still or hung up" in stalled["says"]
    assert "the hub answered 500" in other["says"]


# --- versions


def test_what_was_taken_before_is_taken_again_and_told_where_it_moved(shared: tuple[Hub, Client]) -> None:
    hub, client = shared
    toy = hub.add("models", "owner/moving", TOY)
    rows = hub.add("datasets", "owner/rows", content.glue(20, 20))
    steps = [model("owner/moving"), data("owner/rows:sst2")]
    first = client.opened(*steps)
    known = {**first[0]["taken"], **first[1]["taken"]}
    assert known == {"model owner/moving": toy.head, "dataset owner/rows": rows.head}
    toy.push({"model.safetensors": b"better weights"})
    rows.push(content.glue(30, 20))
    again = client.opened(*({**step, "known": known} for step in steps))
    assert {**again[0]["taken"], **again[1]["taken"]} == known
    assert {**again[0]["moved"], **again[1]["moved"]} == {
        "model owner/moving": toy.head,
        "dataset owner/rows": rows.head,
    }
    assert (Path(again[0]["folder"]) / "model.safetensors").read_bytes() == TOY["model.safetensors"]
    assert again[1]["splits"]["train"]["rows"] == 20
    fresh = client.opened(*steps)
    assert fresh[1]["splits"]["train"]["rows"] == 30
    assert fresh[0]["folder"] != first[0]["folder"]
    # By now the cache's newest version is another one than the run's: better to say so than to mix them.
    offline = opened(hub, client.home, *({**step, "known": known} for step in steps), HF_HUB_OFFLINE="1")
    assert offline[0]["folder"] == first[0]["folder"]
    assert "this run began with its commit" in offline[1]["says"]


def test_a_version_that_is_gone_is_told(shared: tuple[Hub, Client]) -> None:
    hub, client = shared
    for kind in ("models", "datasets"):
        hub.add(kind, "owner/gone", TOY)  # type: ignore[arg-type]
    known = {f"{kind} owner/gone": "0" * 40 for kind in ("model", "dataset")}
    found = client.opened(*({**step, "known": known} for step in (model("owner/gone"), data("owner/gone"))))
    for one in found:
        assert one["code"] == 2
        assert (
            "this run began with its commit 000000000000, which is neither in the hub's cache nor on"
            in one["says"]
        )


def test_what_other_tools_add_to_the_cache_makes_no_other_model(tmp_path: Path) -> None:
    from stepdown.ladder.finished import source_digest

    cached, own = tmp_path / "models--owner--toy" / "snapshots" / "abc", tmp_path / "own"
    for folder in (cached, own):
        folder.mkdir(parents=True)
        (folder / "config.json").write_bytes(b"{}")
    before = source_digest(cached), source_digest(own)
    for folder in (cached, own):
        (folder / "flax_model.msgpack").write_bytes(b"weights")
    assert source_digest(cached) == before[0]
    assert source_digest(own) != before[1]


RECIPE = f"""name = "toy"
[data]
source = "{content.GLUE}:sst2"
text = "sentence"
label = "label"
max_rows = 300
[transfer]
unlabeled = ["{content.IMDB}:plain_text#unsupervised"]
[teacher]
model = "{content.TEACHER}"
[[rungs]]
model = "compact"
max_params = 10_000
epochs = 1
[compare]
arms = ["one-hop"]
seeds = 1
"""


@pytest.mark.slow
def test_a_run_records_its_versions_and_stays_with_them(full_hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    begun = stepdown(full_hub, tmp_path, "run", "recipe.toml", "--json")
    assert begun.returncode == 0, begun.stderr
    found = json.loads(begun.stdout)
    heads = {made.name: made.head for made in full_hub.repositories.values()}
    assert found["environment"]["models"] == {content.TEACHER: heads[content.TEACHER]}
    assert found["environment"]["data"] == {name: heads[name] for name in (content.GLUE, content.IMDB)}
    assert found["data"]["transfer_facts"]["sources"][0]["texts"] == 80
    teacher = full_hub.repositories["models", content.TEACHER]
    now = teacher.push({"README.md": b"# Another\n", "pytorch_model.bin": b"another"})
    again = stepdown(full_hub, tmp_path, "run", "recipe.toml", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == found
    moved = [
        line for line in again.stderr.splitlines() if "has changed on the hub since this run began" in line
    ]
    assert len(moved) == 1
    assert f"({heads[content.TEACHER][:12]}, now {now[:12]})" in moved[0]
    assert "Timing" not in again.stderr, "what was finished is finished"


@pytest.mark.slow
def test_commands_end_with_the_code_of_what_went_wrong(hub: Hub, tmp_path: Path) -> None:
    hub.add("datasets", "owner/down", content.glue(20, 20))
    hub.fail("/api/datasets/owner/down", 500)
    absent = stepdown(hub, tmp_path, "init", "owner/absent", "--out", "-")
    down = stepdown(hub, tmp_path, "init", "owner/down:sst2", "--out", "-")
    assert (absent.returncode, down.returncode) == (2, 1)
    for done in (absent, down):
        assert done.stdout == ""
        assert re.fullmatch(r"stepdown: owner/[^\n]+\n", done.stderr), done.stderr


@pytest.mark.slow
def test_the_reference_recipe_runs_from_the_hub(full_hub: Hub, tmp_path: Path) -> None:
    cuts = [f"rungs.{rung}.{key}" for rung in range(3) for key in ("epochs=1", "learning_rate=3e-3")]
    sets = [*cuts, "data.max_rows=600", "compare.seeds=1"]
    words = ["run", "sst2-article", "--json", *(part for one in sets for part in ("--set", one))]
    done = stepdown(full_hub, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [cell["position"] for cell in found["cells"]] == [0, 1, 2, 2, 3, 3, 3, 3]
    assert found["cells"][0]["metrics"]["accuracy"]["value"] > 0.9, "its labels have no names, and are found"
    assert found["data"]["label_names"] == ["negative", "positive"]
    assert found["data"]["report"] == 200, "the test split has no labels; the validation split is told"
    recipe = [content.TEACHER, content.MINI, content.TINY, content.FEMTO.lower()]
    heads = {made.name.lower(): made.head for made in full_hub.repositories.values()}
    assert found["environment"]["models"] == {name: heads[name.lower()] for name in recipe}
    assert not full_hub.asked(r"bert_hash\.py")
    said = done.stderr.splitlines()
    for name in (content.MINI, content.TINY):
        told = [line for line in said if line.startswith(name)]
        assert [line.partition(" ")[2].partition(",")[0] for line in told] == [
            "holds 9 weights that a classifier has no place for",
            "lacks 2 weights",
        ]
    assert not any("UNEXPECTED" in line or "MISSING" in line for line in said)
    bundle = str(tmp_path / "runs" / "sst2-article" / "bundle")
    predicted = stepdown(full_hub, tmp_path, "predict", bundle, "a good word1 word2")
    assert json.loads(predicted.stdout)["label"] in ("negative", "positive")
