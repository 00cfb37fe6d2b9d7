"""Makes ids of texts: every model reads a text with its own tokenizer.

Two kinds belong to the bundle format and need nothing but numpy: `words` and `bert-wordpiece`. Any other
tokenizer of a Hugging Face model runs through the `tokenizers` library, and is imported when it is first used: it is
a tenth of the start of `stepdown predict`, which hardly ever needs it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepdown.errors import BundleError, shown
from stepdown.tokens.flat import Tokenizer, Tokens
from stepdown.tokens.wordpiece import CONFIG, VOCABULARY, BertWordPiece, Reading
from stepdown.tokens.words import FILE as WORDS_FILE
from stepdown.tokens.words import Words

if TYPE_CHECKING:
    from stepdown.tokens.huggingface import HuggingFaceTokenizer, from_huggingface

__all__ = [
    "BertWordPiece",
    "HuggingFaceTokenizer",
    "Reading",
    "Tokenizer",
    "Tokens",
    "Words",
    "from_huggingface",
    "load",
    "parse",
]


def load(folder: Path) -> Tokenizer:
    """The tokenizer that a folder holds: `words.json` if it is there, else that of a Hugging Face model.

    Raises:
        InputError: none, a damaged one (BundleError, ModelError), or one whose library is not installed.
    """
    if (folder / WORDS_FILE).is_file():
        return Words.load(folder)
    from stepdown.tokens.huggingface import from_huggingface

    return from_huggingface(folder)


def parse(kind: str, files: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer of a bundle, from the content of its files by name.

    Raises:
        BundleError: an unknown kind, a missing file, or a content that is not what it should be.
        InputError: its library is not installed.
    """
    files_of = {Words.kind: WORDS_FILE, BertWordPiece.kind: VOCABULARY, "huggingface": "tokenizer.json"}
    main = files_of.get(kind)
    if main is None:
        raise BundleError(
            f"The tokenizer is of kind {shown(kind)}; this version reads {', '.join(files_of)}. "
            "A newer stepdown may read it."
        )
    if main not in files:
        raise BundleError(f"A tokenizer of kind {kind!r} needs {main}, which is missing.")
    if kind == Words.kind:
        return Words.parse(files[main])
    config = files.get(CONFIG, b"{}")
    if kind == BertWordPiece.kind:
        return BertWordPiece.parse(files[main], config)
    from stepdown.tokens.huggingface import HuggingFaceTokenizer

    return HuggingFaceTokenizer(files[main], config)


def __getattr__(name: str) -> Any:
    if name not in ("HuggingFaceTokenizer", "from_huggingface"):
        raise AttributeError(f"module 'stepdown.tokens' has no attribute {name!r}")
    from stepdown.tokens import huggingface

    return getattr(huggingface, name)
