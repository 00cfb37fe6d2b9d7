"""Writes the vectors of whole bundles: `python -m tests.bundle_vectors`. Only a change of the format is a reason to."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from stepdown.runtime import About, Bundle, Calibration, Classifier, LongTexts, bundle
from stepdown.tokens import BertWordPiece, Words
from tests import tiny_bundle

FOLDER = Path(__file__).parent / "vectors"
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
OF_TEXTS = Words(tuple(dict.fromkeys((*tiny_bundle.WORDS.entries, *LETTERS, "电影", "é", "😂"))))
OF_PAIRS = Words((*tiny_bundle.WORDS.entries, "Good", "é"), lowercase=False, pairs=True)
PIECES = BertWordPiece(
    (
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "good",
        "bad",
        "movie",
        "##s",
        "not",
        "!",
        ".",
        "电",
        "e",
        *LETTERS[:3],
    )
)
TEXTS = [
    "Good movie!",
    "The movie isn’t bad.",
    "",
    " \t\n",
    "don't",
    "电影很好看 😂😂😂😂",
    "Café ``cannot'' -LRB- ok -RRB-",
    "\x00\x1f\u200b\ud800",
    "a good movie " * 9,
    "Good. Not bad! Is it a movie?<br />No: Mr. B. did n't do it … &amp; that's all, good good good.",
    "שלום هذا ﬁ Ⅷ",
]
PAIRS = [
    ("Good movies!", "Not bad."),
    ("", ""),
    ("good", ""),
    ("", "bad bad"),
    ("good " * 9, "bad " * 9),
    ("not a movie", "a movie " * 9),
    ("[SEP] good [UNK]", "电e é e\u0301 [MASK"),
    ("good\x1fbad", "\ufffd\u200b"),
]


def bundles() -> dict[str, Bundle]:
    """A bundle of each task and tokenizer, by name."""
    words = tiny_bundle.about(max_length=12, long_texts=LongTexts(6, "whole-and-sentences"))
    topics = tiny_bundle.about(("same topic", "same view"), 14, 0.5, None, "multi-label", True, (0.37, 0.62))
    stars = tiny_bundle.about(("stars",), 9, task="regression", is_pair=True)
    return {
        "words": _bundle(words, OF_TEXTS),
        "bert-wordpiece": _bundle(topics, PIECES),
        "regression": _bundle(stars, OF_PAIRS),
    }


def _bundle(says: About, tokenizer: Words | BertWordPiece) -> Bundle:
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        files = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
    weights = tiny_bundle.weights(tokenizer, len(says.label_names))
    files["model.onnx"] = tiny_bundle.model(*weights).SerializeToString()
    fitted = Calibration() if says.task == "regression" else says.calibration
    about = About(**{**vars(says), "tokenizer": tokenizer.spec(), "calibration": fitted})
    return Bundle(about, files)


def cases(classifier: Classifier) -> list[dict[str, object]]:
    """What a classifier says of the texts, or of the pairs."""
    asked = PAIRS if classifier.is_pair else TEXTS
    key = {"single-label": "label", "multi-label": "labels", "regression": "value"}[classifier.task]
    found = []
    for text, said in zip(asked, classifier.predict(asked), strict=True):
        case: dict[str, object] = {"pair": list(text)} if classifier.is_pair else {"text": text}
        case[key] = round(said, 6) if isinstance(said, float) else said
        if classifier.task != "regression":
            case["probabilities"] = [round(float(one), 6) for one in classifier.predict_proba([text])[0]]
        found.append(case)
    return found


def main() -> None:
    """Write the bundles and what they say."""
    groups = []
    for name, made in bundles().items():
        file = f"{name}.stepdown"
        bundle.write(FOLDER / file, made.about, made.files)
        rows = ",\n    ".join(json.dumps(case) for case in cases(Classifier(made)))
        groups.append(f'  {{"bundle": "{file}", "cases": [\n    {rows}\n  ]}}')
    (FOLDER / "bundles.json").write_text("[\n" + ",\n".join(groups) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
