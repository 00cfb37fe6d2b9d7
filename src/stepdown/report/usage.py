"""The part of a card that says how to run its model, as lines of Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from stepdown.tasks import TaskKind

FOLDER = "THIS_FOLDER"
"""What stands for the place of the model: a card is written before it is known where it will lie."""


def of_bundle(*, is_pair: bool) -> Iterator[str]:
    """How a bundle is run."""
    asked, given = ('"…" "…"', '("…", "…")') if is_pair else ('"…"', '"…"')
    yield from _block("sh", "pip install stepdown", f"stepdown predict {FOLDER} {asked}")
    yield from _block(
        "python",
        "import stepdown",
        "",
        f'model = stepdown.Classifier.load("{FOLDER}")',
        f"print(model.predict([{given}]))",
    )
    fetched = f"`hf download OWNER/NAME --local-dir {FOLDER}`"
    yield from (f"`{FOLDER}` is the folder with these files; {fetched} brings them from a hub.", "")


def of_transformer(task: TaskKind, *, is_pair: bool, is_ours: bool) -> Iterator[str]:
    """How a model in Hugging Face's layout is run.

    Args:
        task: what it answers.
        is_pair: it reads pairs of texts.
        is_ours: its architecture is not in transformers, but in stepdown.
    """
    yield from _block("sh", f'pip install "{"stepdown[train]" if is_ours else "transformers[torch]"}"')
    known = ("import stepdown.compat  # makes its architecture known to transformers",) if is_ours else ()
    as_it_is = ', function_to_apply="none"' if task == "regression" else ""
    given = '{"text": "…", "text_pair": "…"}' if is_pair else '"…"'
    yield from _block(
        "python",
        *known,
        "from transformers import pipeline",
        "",
        f'classifier = pipeline("text-classification", model="{FOLDER}"{as_it_is})',
        f"print(classifier([{given}], top_k=None))",
    )
    if not is_pair and task != "regression":
        labels = f'print(Labels("{FOLDER}", dynamic=False)("…"))'
        source = "stepdown.compat" if is_ours else "txtai.pipeline"
        yield from ("Or as txtai has it:", "", *_block("python", f"from {source} import Labels", "", labels))
    yield from (f"`{FOLDER}` is the folder with these files; a model of a hub goes by its `OWNER/NAME`.", "")


def _block(language: str, *lines: str) -> Iterator[str]:
    yield from (f"```{language}", *lines, "```", "")
