"""Reads stepdown bundles; written from docs/bundle.md alone. Run it as: python reader.py BUNDLE TEXT [TEXT …]

It needs numpy and onnxruntime. For a bundle of pairs every two texts are one. It reads no tokenizers of the kind
`huggingface`, and does not look into networks: run a stranger's bundle where it can do no harm.
"""

import hashlib
import html
import json
import re
import stat
import sys
import zipfile
from pathlib import Path
from unicodedata import category, normalize

import numpy as np
import onnxruntime

SIGNS = dict(zip("‘’‚‛′´ʼ`“”„‟″«»‐‑‒–−—―", [*"'" * 8, *'"' * 7, *"-" * 5, "--", "--"], strict=True))
TREEBANK = dict(zip(r"-lrb- -rrb- -lsb- -rsb- -lcb- -rcb- '' \/ \*".split(), '()[]{}"/*', strict=True))
IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
WORD = r"n't(?!W)|can(?=not(?!W))|'(?:s|m|d|re|ve|ll)(?!W)|W+(?!W|'t(?!W))|W+(?=n't(?!W))|W+|\x01"
WORD = re.compile((WORD + r"|([^\sa-z0-9\x01\x02])\1*").replace("W", "[a-z0-9\x02]"), re.IGNORECASE | re.ASCII)
SPECIAL = re.compile(r"(\[(?:UNK|CLS|SEP|PAD|MASK)\])")
BERT_IDEOGRAPH = "㐀-䶿一-鿿豈-﫿\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f\U0002b920-\U0002ceaf"
BERT_IDEOGRAPH = re.compile(f"([{BERT_IDEOGRAPH}\U0002f800-\U0002fa1f])")
END = re.compile(r"""(?<![.!?…])[.!?…]+["'”’)\]]*\s+(?=["'“‘(\[]*(\w))|[。！？]+[」』”’]*\s*""")
BLOCK = re.compile(r"</?(?ai:br|p|div|hr|li|ul|ol|h[1-6])\b[^<>]{0,200}>")
INLINE = re.compile(r"</?(?ai:i|b|u|em|strong|span|a|font|sup|sub)\b[^<>]{0,200}>")
SHORT = """mr mrs ms dr prof rev hon gen col lt sgt capt maj gov sen rep pres st mt jr sr vs no nos vol fig figs dept
inc ltd co corp bros approx est e.g i.e cf al op a.k.a u.s u.k jan feb mar apr jun jul aug sep sept oct nov dec"""

def check(condition, what):
    if not condition:
        raise ValueError(f"no bundle to be trusted: {what}")

def content(path, entries, name, most, size=None):  # without entries path is a folder
    check(re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name), f"a file named {name!r}")
    entry = entries[name] if entries else (path / name).lstat()
    mode, found = (entry.external_attr >> 16, entry.file_size) if entries else (entry.st_mode, entry.st_size)
    check(stat.S_IFMT(mode) in (0, stat.S_IFREG) and found <= most and size in (None, found), f"kind or size of {name}")
    if not entries:
        return (path / name).read_bytes()
    check(entry.compress_type in (0, 8) and found <= max(1 << 20, 200 * entry.compress_size), f"how {name} is packed")
    return zipfile.ZipFile(path).read(name)

def read(path):
    """What a bundle says of itself, and the content of its files by name."""
    listed = zipfile.ZipFile(path).infolist() if path.is_file() else []
    entries = {entry.filename: entry for entry in listed}
    raw = content(path, entries, "bundle.json", 4 << 20)
    about = json.loads(raw, object_pairs_hook=lambda keys: check(len(dict(keys)) == len(keys), "a key") or dict(keys))
    check((about["format"], about["version"]) == ("stepdown-bundle", 1), "another format or version")
    (digest,) = re.findall(rb'"digest": "([0-9a-f]{64})"', raw)
    check(hashlib.sha256(raw.replace(digest, b"0" * 64)).hexdigest() == digest.decode(), "its digest")
    promised, network = about["files"], about["weights"]["file"] if about["weights"]["format"] == "onnx" else ""
    fine = network in promised and len(promised) <= 32 and entries.keys() <= {*promised, "bundle.json"}
    files = {} if fine and len(entries) == len(listed) else check(False, "its list of files")
    for name, promise in promised.items():
        files[name] = content(path, entries, name, (2 << 30) - 1 if name == network else 64 << 20, promise["bytes"])
        check(hashlib.sha256(files[name]).hexdigest() == promise["sha256"], f"the checksum of {name}")
    return about, files

def longest(word, ids, prefix=""):
    """Ids of the longest entries that begin a word and then its rest; None for each character where there is none."""
    start = 0
    while start < len(word):
        ends = range(min(len(word), start + 100), start, -1)
        own = ((ids.get((prefix if start else "") + word[start:end]), end) for end in ends)
        found, start = next((pair for pair in own if pair[0] is not None), (None, start + 1))
        yield found

def words(files):
    """The tokenizer `words`: from a text to its ids; and the ids before, between and after texts."""
    told = json.loads(files["words.json"])
    pairs = told["version"] == 2 and told["pairs"]
    ids = {entry: number for number, entry in enumerate(told["entries"], 3 if pairs else 2)}
    known = told["kind"] == "words" and told["version"] in (1, 2) and len(ids) == len(told["entries"]) <= 1 << 20
    check(known and all(1 <= len(entry) <= 100 for entry in ids), "its tokenizer")

    def encode(text):
        found = []
        for chunk in [run[at : at + 1000] for run in text.split() for at in range(0, len(run), 1000)]:
            chunk = normalize("NFKC", chunk.translate(str.maketrans(SIGNS)))
            chunk = re.sub("[\ufe00-\ufe0f]", "", re.sub("[\ud800-\udfff]", "\ufffd", chunk))
            chunk = "".join(c for c in chunk if category(c) not in ("Cc", "Cf"))
            chunk = re.sub(r"(?i)-[lr][rsc]b-|''|\\[/*]", lambda match: TREEBANK[match[0].lower()], chunk)
            chunk = chunk.lower() if told["lowercase"] else chunk
            shadow = ("\x02" if c > "\x7f" and category(c)[0] in "LMN" else c for c in IDEOGRAPH.sub("\x01", chunk))
            for match in WORD.finditer("".join(shadow)):
                word = chunk[match.start() : min(match.end(), match.start() + 3) if match[1] else match.end()]
                own = [number or 1 for number in longest(word, ids)]
                found += [number for number, before in zip(own, [0, *own], strict=False) if (number, before) != (1, 1)]
        return found or [1]

    return encode, [], [2] if pairs else [], []

def wordpiece(files):
    """The tokenizer `bert-wordpiece`, as `words` gives it."""
    pieces = files["vocab.txt"].decode().replace("\r\n", "\n").removesuffix("\n").split("\n")
    ids = {piece: number for number, piece in enumerate(pieces[: 1 << 20])}
    config = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
    config |= json.loads(files.get("tokenizer_config.json", b"{}"))
    lower, strip = config["do_lower_case"], config["strip_accents"]

    def encode(text):
        found = []
        for part in SPECIAL.split(text):
            if part in ids and SPECIAL.fullmatch(part):
                found.append(ids[part])
                continue
            part = (" " if c in "\t\n\r" else c for c in part.replace("\ufffd", ""))
            part = "".join(c for c in part if category(c) not in ("Cc", "Cf", "Co", "Cs"))
            part = BERT_IDEOGRAPH.sub(r" \1 ", part) if config["tokenize_chinese_chars"] else part
            if lower if strip is None else strip:
                part = "".join(c for c in normalize("NFD", part) if category(c) != "Mn")
            part = "".join(c.lower() if lower else c for c in part)
            for word in "".join(f" {c} " if category(c)[0] == "P" or c in "$+<=>^`|~" else c for c in part).split():
                own = list(longest(word, ids, "##"))
                found += [ids["[UNK]"]] if len(word) > 100 or None in own else own
        return found

    return encode, [ids["[CLS]"]], [ids["[SEP]"]], [ids["[SEP]"]]

def sentences(text):
    """The sentences of a text; itself where it has none."""
    text = re.sub(r"&#0*[1-9][0-9]{8,};?|&#[xX]0*[1-9a-fA-F][0-9a-fA-F]{8,};?", "\ufffd", text)  # beyond any character
    text, found = html.unescape(text), []
    for line in INLINE.sub("", BLOCK.sub("\n", text)).split("\n"):
        start = 0
        for match in END.finditer(line):
            before, following = line[max(start, match.start() - 64) : match.start()], match[1] or ""
            word = "" if before[-1:] == " " else (before.split() or [""])[-1].lstrip("\"'“‘([")
            short = word.lower() in SHORT.split() or (len(word) == 1 and word.isupper() and word != "I")
            going_on = re.match(r"\.(?!\.)", match[0]) and following and short
            if (match[0].strip() == "." and before[-1:] == " ") if following.islower() else not going_on:
                found.append(line[start : match.end()])
                start = match.end()
        found.append(line[start:])
    return [" ".join(sentence.split()) for sentence in found if sentence.split()] or [text]

class Classifier:
    """What a bundle says of texts, or of pairs of texts."""

    def __init__(self, path):
        about, files = read(Path(path))
        task, fitted, self.long = about["task"], about.get("calibration") or {}, about.get("long_texts")
        self.kind, self.names, self.pairs = task["kind"], task["label_names"], task.get("texts", 1) == 2
        self.length, self.temperature = about["max_length"], 1 if self.kind == "regression" else fitted["temperature"]
        self.limits = np.array(fitted.get("thresholds") or [0.5] * len(self.names), np.float32)
        fewest = {"single-label": 2, "multi-label": 1, "regression": 1}[self.kind]
        check(fewest <= len({*self.names} - {""}) == len(self.names) == len(self.limits), "its labels or thresholds")
        fine = task.get("texts", 1) in (1, 2) and not (self.pairs and self.long) and 1e-3 <= self.temperature <= 1e3
        above, way = (self.long["above"], self.long["read"]) if self.long else (1, "sentences")
        fine = fine and 1 <= above <= self.length <= 1 << 20 and way in ("sentences", "whole-and-sentences")
        check(fine, "its texts, lengths or temperature")
        tokenizer = {"words": words, "bert-wordpiece": wordpiece}[about["tokenizer"]["kind"]]
        self.encode, self.before, self.between, self.after = tokenizer(files)
        self.session = onnxruntime.InferenceSession(files[about["weights"]["file"]], providers=["CPUExecutionProvider"])

    def ids(self, text):
        """The ids of a text or a pair, and whether it was cut."""
        clean = [one.replace("\x1f", " ") for one in (text if self.pairs else [text])]
        between = self.between if self.pairs else []
        first, second = map(self.encode, clean) if between else (self.encode("\x1f".join(clean)), [])
        room, a, b = self.length - len([*self.before, *between, *self.after]), len(first), len(second)
        if a + b > room:
            least = min(a, b, room // 2)
            a, b = (least, room - least) if a <= b else (room - least, least)
        return [*self.before, *first[:a], *between, *second[:b], *self.after], a + b < len(first) + len(second)

    def run(self, row):
        said = self.session.run(["logits"], {"ids": np.array([row]), "lengths": np.array([len(row)])})[0]
        check(said.shape == (1, len(self.names)) and np.isfinite(said).all(), "what its network says")
        return said[0].astype(np.float64)

    def logits(self, text):
        """What the network says of a text or a pair: float64 [labels]."""
        row, cut = self.ids(text)
        if not self.long or not (cut or len(row) > self.long["above"]):
            return self.run(row)
        said = np.mean([self.run(self.ids(sentence)[0]) for sentence in sentences(text)], axis=0)
        return said if self.long["read"] == "sentences" else (said + self.run(row)) / 2

    def predict(self, text):
        """The label of a text, its labels, or its number; and the probabilities of all labels, float32 [labels]."""
        said = self.logits(text) / self.temperature
        if self.kind == "regression":
            return float(said[0]), said
        odds = np.exp(-said) if self.kind == "multi-label" else np.exp(said - said.max())
        found = (1 / (1 + odds) if self.kind == "multi-label" else odds / odds.sum()).astype(np.float32)
        applying = [name for name, own in zip(self.names, found >= self.limits, strict=True) if own]
        return applying if self.kind == "multi-label" else self.names[said.argmax()], found

if __name__ == "__main__":
    made, asked = Classifier(sys.argv[1]), sys.argv[2:]
    for text in zip(asked[::2], asked[1::2], strict=True) if made.pairs else asked:
        print(json.dumps(made.predict(text)[0], ensure_ascii=False))
