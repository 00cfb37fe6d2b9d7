"""Tokenizers that Hugging Face models bring along: BERT's own where it is one, else through `tokenizers`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepdown.errors import BundleError, ModelError, StepdownError, missing_extra
from stepdown.tasks import SEPARATOR, parts
from stepdown.tokens import growth
from stepdown.tokens.flat import Tokenizer, Tokens, check_length, check_length_of_pair, from_lists
from stepdown.tokens.wordpiece import CONFIG, SPECIAL, VOCABULARY, BertWordPiece, Reading, reading

FILE = "tokenizer.json"

# Special ids around a text or a pair, and characters of a word that is looked up piece by piece, which takes quadratic
# time: many times what published models have.
_MOST_SPECIAL, _LONGEST_WORD = 16, 1000

# Classes and model types of transformers that read text as BERT does.
_BERT_CLASSES = frozenset({"Bert", "DistilBert", "Electra", "MobileBert", "ConvBert", "SqueezeBert"})
_BERT_TYPES = frozenset(
    {
        "bert",
        "bert_hash",
        "distilbert",
        "electra",
        "mobilebert",
        "convbert",
        "squeezebert",
        "megatron-bert",
        "nezha",
    }
)


class HuggingFaceTokenizer:
    """Any tokenizer that is described by a `tokenizer.json`; needs the library `tokenizers`."""

    kind = "huggingface"

    def __init__(self, description: bytes, config: bytes = b"{}") -> None:
        """Build it from the content of `tokenizer.json` and `tokenizer_config.json`.

        Raises:
            InputError: `tokenizers` is not installed.
            BundleError: a content is not what it should be.
        """
        try:
            import tokenizers
        except ImportError:
            raise missing_extra("tokenizers", "hf", f"A model with a tokenizer of its own ({FILE})") from None
        reads = f"tokenizers {tokenizers.__version__}"
        with _its_errors(
            f"{FILE} cannot be read by {reads}", 'A newer one may read it: pip install -U "stepdown[hf]"'
        ):
            self._tokenizer = tokenizers.Tokenizer.from_str(description.decode("utf-8"))
            about = json.loads(config)
            self._growth = 1
            normalizer = self._tokenizer.normalizer
            if normalizer is not None:
                self._growth = growth.check(json.loads(normalizer.__getstate__()), FILE)
        self._description, self._config = description, config
        self.pad_id = self._find_pad(about if isinstance(about, dict) else {})
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._special = self._tokenizer.num_special_tokens_to_add(False)
        self._special_of_pair = self._tokenizer.num_special_tokens_to_add(True)
        _check_bounds(json.loads(description), max(self._special, self._special_of_pair))
        self.vocab_size = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=0) + 1

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The entries in the order of their ids, as the library writes them."""
        ids = self._tokenizer.get_vocab(with_added_tokens=False)
        return tuple(sorted(ids, key=ids.__getitem__))

    def encode(self, texts: Sequence[str], max_length: int) -> Tokens:
        """The texts, or pairs of texts, as ids, at most `max_length` each, special ones included."""
        check_length(max_length, self._special)
        if any(SEPARATOR in text for text in texts):
            check_length_of_pair(max_length, self._special_of_pair)
        self._tokenizer.enable_truncation(max_length)
        # Halves of surrogate pairs are no characters, and the library refuses them.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        with _its_errors(f"{FILE} fails on a text", "Take the file that belongs to the model."):
            if self._growth > 1:
                growth.check_texts(clean, self._growth, self._tokenizer.normalizer.normalize_str, FILE)
            encodings = self._tokenizer.encode_batch([parts(t) if SEPARATOR in t else t for t in clean])
            ids = [encoding.ids or [self.pad_id] for encoding in encodings]
            return from_lists(ids, [bool(encoding.overflowing) for encoding in encodings])

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json` as they came."""
        (folder / FILE).write_bytes(self._description)
        (folder / CONFIG).write_bytes(self._config)

    def spec(self) -> dict[str, Any]:
        """Kind, files and normalisation, as `bundle.json` tells them."""
        normalizer = json.loads(self._description).get("normalizer")
        # Its description may hold a table of a hundred thousand characters: it stays in its own file.
        name = normalizer.get("type") if isinstance(normalizer, dict) else None
        return {"kind": self.kind, "files": [FILE, CONFIG], "normalisation": {"tokenizers": name}}

    def _find_pad(self, config: Mapping[str, Any]) -> int:
        """The padding id that the files name; models that know none are never asked for what stands there."""
        if self._tokenizer.padding:
            return int(self._tokenizer.padding["pad_id"])
        for name in ("pad_token", "eos_token", "unk_token"):
            token = config.get(name)
            content = token.get("content") if isinstance(token, dict) else token
            number = self._tokenizer.token_to_id(content) if isinstance(content, str) else None
            if number is not None:
                return int(number)
        return 0


def _check_bounds(description: Any, special: int) -> None:
    """Raises BundleError where a description asks for more work on any text than a model's does."""
    longest = (description.get("model") or {}).get("max_input_chars_per_word", 0)
    if special > _MOST_SPECIAL:
        raise BundleError(
            f"{FILE} puts {special:,} special ids around a text, and {_MOST_SPECIAL} at most can be. Do not trust it."
        )
    if isinstance(longest, int) and longest > _LONGEST_WORD:
        raise BundleError(
            f"{FILE} looks up words of {longest:,} characters, and {_LONGEST_WORD:,} at most can be. Do not trust it."
        )


def from_huggingface(folder: Path) -> Tokenizer:
    """The tokenizer of a Hugging Face model's folder.

    A stock BERT tokenizer becomes our own, which gives the same ids, faster and without `tokenizers`.

    Raises:
        ModelError: the folder holds no tokenizer that can be read.
        InputError: it needs a library that is not installed.
    """
    try:
        config = _json(folder / CONFIG)
        if (folder / FILE).is_file():
            stock = _stock_bert(_json(folder / FILE), config)
            return stock or HuggingFaceTokenizer((folder / FILE).read_bytes(), _content(folder / CONFIG))
        if (folder / VOCABULARY).is_file() and _says_bert(config, _json(folder / "config.json")):
            return BertWordPiece.load(folder)
    except (BundleError, TypeError, AttributeError, KeyError) as error:
        raise ModelError(f"The tokenizer in {folder} cannot be read: {error}") from error
    return _converted(folder)


def _stock_bert(about: Mapping[str, Any], config: Mapping[str, Any]) -> BertWordPiece | None:
    """BERT's tokenizer, if a `tokenizer.json` describes exactly that one."""
    model, normalizer = about.get("model") or {}, about.get("normalizer") or {}
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict):
        return None
    added = about.get("added_tokens") or []
    stock = (
        model.get("type", "WordPiece") == "WordPiece"
        and model.get("unk_token") == "[UNK]"
        and model.get("continuing_subword_prefix") == "##"
        and model.get("max_input_chars_per_word") == 100
        and normalizer.get("type") == "BertNormalizer"
        and normalizer.get("clean_text") is True
        and (about.get("pre_tokenizer") or {}).get("type") == "BertPreTokenizer"
        and _frames_as_bert(about.get("post_processor") or {})
        and sorted(vocabulary.values()) == list(range(len(vocabulary)))
        and all(_is_stock_special(token, vocabulary) for token in added)
        and {token["content"] for token in added} == set(SPECIAL) <= vocabulary.keys()
    )
    if not stock:
        return None
    said = {
        "do_lower_case": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
    }
    # transformers lets tokenizer_config.json overrule what the description says.
    cleaning: Reading = reading(said | {key: config[key] for key in said if key in config})
    return BertWordPiece(sorted(vocabulary, key=vocabulary.__getitem__), cleaning)


def _is_stock_special(token: Mapping[str, Any], vocabulary: Mapping[str, int]) -> bool:
    plain = not any(token.get(key) for key in ("single_word", "lstrip", "rstrip", "normalized"))
    return plain and token.get("content") in SPECIAL and vocabulary.get(token["content"]) == token.get("id")


def _frames_as_bert(processor: Mapping[str, Any]) -> bool:
    if processor.get("type") == "BertProcessing":
        return [processor.get(key, [None])[0] for key in ("cls", "sep")] == ["[CLS]", "[SEP]"]
    single = [next(iter(part.items())) for part in processor.get("single", ())]
    names = [(kind, part.get("id")) for kind, part in single]
    return names == [("SpecialToken", "[CLS]"), ("Sequence", "A"), ("SpecialToken", "[SEP]")]


def _says_bert(config: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    """Whether a folder with a bare `vocab.txt` reads text as BERT: other models use that name too."""
    name = config.get("tokenizer_class")
    if isinstance(name, str):
        return name.removesuffix("Fast").removesuffix("Tokenizer") in _BERT_CLASSES
    return model.get("model_type", "bert") in _BERT_TYPES


def _converted(folder: Path) -> HuggingFaceTokenizer:
    """A tokenizer in any other layout, converted by transformers."""
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise missing_extra("transformers", "train", f"The tokenizer in {folder}") from None
    try:
        found = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        with tempfile.TemporaryDirectory() as place:
            found.save_pretrained(place)
            return HuggingFaceTokenizer((Path(place) / FILE).read_bytes(), _content(Path(place) / CONFIG))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, BundleError) as error:
        raise ModelError(
            f"The folder {folder} holds no tokenizer that can be read: {_first_line(error)}. "
            f"Expected {FILE}, or {VOCABULARY} of a BERT model."
        ) from error


@contextmanager
def _its_errors(what: str, advice: str) -> Iterator[None]:
    """Tells what goes wrong in the library: it raises bare Exceptions, and panics that are none."""
    try:
        yield
    except (StepdownError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise BundleError(f"{what}: {_first_line(error)}. {advice}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]  # it may quote what is in a file


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b"{}"


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(_content(file))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file.name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BundleError(f"{file.name} must hold a JSON object, not a {type(found).__name__}")
    return found
