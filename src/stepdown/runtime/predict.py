"""Answers rows with labels and scores, or with numbers, window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stepdown import outputs
from stepdown.errors import InputError
from stepdown.runtime.classifier import Classifier
from stepdown.runtime.columns import Wanted
from stepdown.runtime.inputs import Text
from stepdown.runtime.rows import BadRow, Row, Table, from_stream, from_texts
from stepdown.runtime.sinks import ABSTAINED, TRUNCATED, Answer, Sink, to_file, to_stream
from stepdown.runtime.tables import from_file

# Rows answered at a time: enough to fill batches of one length, few enough for any memory.
_WINDOW = 4096
# Labels scored where the user does not say how many.
_USUAL_TOP = 5


@dataclass
class Counts:
    """What a stream came to so far.

    Attributes:
        rows: answered, abstentions among them.
        skipped: left out, for they could not be read.
        abstained: that no label was probable enough for.
        share: how much of the input that is, 0 to 1; None where nobody knows.
    """

    rows: int = 0
    skipped: int = 0
    abstained: int = 0
    share: float | None = None


def answers(
    classifier: Classifier, texts: Sequence[Text], top: int, abstain_below: float | None = None
) -> list[Answer]:
    """What is said of each text, as `stepdown predict` and `stepdown serve` tell it.

    Args:
        classifier: asked.
        texts: n of them, or n pairs where it reads pairs.
        top: how many labels to score, best first; 0 for all; of no matter to a regression.
        abstain_below: the least probability that is answered with, from 0 to 1, not for a regression; None: any.

    Returns:
        n objects: `text` (of a pair a list of the two); `label` and `score` (the label's probability), or for a
        multi-label task `labels` (those that apply, most probable first), and `scores` (label to probability, best
        first), or for a regression `value`; `abstained`, true, where no label has the probability `abstain_below`:
        `label` is None then, and `labels` are empty; and `truncated`, true, where a text was cut.

    Raises:
        InputError: as `Classifier.predict`.
    """
    found: list[Answer] = []
    for start in range(0, len(texts), classifier.window):
        window = texts[start : start + classifier.window]
        logits, truncated = classifier.read(window)
        said = (
            _values(logits)
            if classifier.task == "regression"
            else _labels(classifier, logits, top, abstain_below)
        )
        for text, cut, own in zip(window, truncated.tolist(), said, strict=True):
            answer = {"text": text if isinstance(text, str) else list(text), **own}
            if cut:
                answer[TRUNCATED] = True
            found.append(answer)
    return found


def check_scores(classifier: Classifier, option: str) -> None:
    """Look whether there are labels to score, as an option of that name asks for.

    Raises:
        InputError: the model predicts a number.
    """
    if classifier.task == "regression":
        raise InputError(
            f"The model predicts a number, {classifier.label_names[0]!r}, so there are no labels to score. "
            f"Leave {option} out."
        )


def _values(logits: np.ndarray) -> list[Answer]:
    return [{"value": value} for value in outputs.values(logits)]


def _labels(classifier: Classifier, logits: np.ndarray, top: int, below: float | None) -> list[Answer]:
    probabilities = classifier.probabilities(logits)
    names = classifier.label_names
    # Of one label the logits decide, as everywhere: at a high temperature probabilities may round to the same.
    rank = probabilities if classifier.task == "multi-label" else logits
    best = np.argsort(-rank, axis=1, kind="stable")[:, : top or None]
    values = np.take_along_axis(probabilities, best, 1).astype(np.float64).round(6)
    scores = [
        {names[index]: value for index, value in zip(which, scored, strict=True)}
        for which, scored in zip(best.tolist(), values.tolist(), strict=True)
    ]
    said: list[Answer]
    if classifier.task == "multi-label":
        sets = classifier.sets(probabilities)
        said = [{"labels": own, "scores": scored} for own, scored in zip(sets, scores, strict=True)]
    else:
        said = [
            {"label": next(iter(scored)), "score": next(iter(scored.values())), "scores": scored}
            for scored in scores
        ]
    if below is not None:
        nothing: Answer = {"labels": []} if classifier.task == "multi-label" else {"label": None}
        for row in np.flatnonzero(outputs.abstaining(probabilities, below)).tolist():
            said[row] |= {**nothing, ABSTAINED: True}
    return said


@dataclass(frozen=True)
class Work:
    """What `stepdown predict` was asked for.

    Attributes:
        texts: from the command line, of a pair the two; where there are none, the input is read.
        input: a file of texts; None for the standard input, a text a line, or two with a tab between them.
        columns: of the input, with the text, or with the two of a pair; empty where they can be told.
        output: a file; None for JSON lines on the standard output.
        top: how many labels to score, best first; 0 for all; None for 5, and always None for a regression.
        abstain_below: the least probability that is answered with; None for any, and always None for a regression.
    """

    texts: tuple[str, ...] = ()
    input: Path | None = None
    columns: tuple[str, ...] = ()
    output: Path | None = None
    top: int | None = None
    abstain_below: float | None = None


def run(
    classifier: Classifier,
    work: Work,
    stdin: BinaryIO,
    stdout: BinaryIO,
    *,
    on_bad: Callable[[BadRow], None] | None = None,
    on_progress: Callable[[Counts], None] | None = None,
) -> Counts:
    """Read what `work` names, answer it, write the answers; memory stays the same however long the input.

    Args:
        classifier: asked.
        work: what to do.
        stdin: read where no texts and no input are named.
        stdout: written where no output is named.
        on_bad: told of each row that cannot be read, which is then left out; None raises the first.
        on_progress: told after each window of rows.

    Raises:
        InputError: an input or (BadRow) one of its rows that cannot be read, an output that does not fit, or what
            does not fit the model: single texts and pairs, or labels to score, or a probability, of a number.
        StoreError: the output cannot be written.
    """
    if work.top is not None:
        check_scores(classifier, "--top")
    if work.abstain_below is not None:
        classifier.check_can_abstain(work.abstain_below, "--abstain-below")
    table = _table(work, is_pair=classifier.is_pair)
    given = from_stream(stdin, is_pair=classifier.is_pair) if table is None else windows(table)
    columns = () if table is None else table.columns
    marks = (TRUNCATED,) if work.abstain_below is None else (ABSTAINED, TRUNCATED)

    def tell(counts: Counts) -> None:
        counts.share = table.share() if table else None
        if on_progress:
            on_progress(counts)

    with (
        to_stream(stdout, marks)
        if work.output is None
        else to_file(work.output, columns, classifier.task, is_pair=classifier.is_pair, marks=marks)
    ) as sink:
        ask = partial(
            answers,
            classifier,
            top=_USUAL_TOP if work.top is None else work.top,
            abstain_below=work.abstain_below,
        )
        return answer_all(ask, given, sink, most=classifier.window, on_bad=on_bad, on_progress=tell)


def _table(work: Work, *, is_pair: bool) -> Table | None:
    """The rows that `work` names; None for those of the standard input."""
    if work.texts:
        return from_texts(_texts(work.texts, is_pair=is_pair))
    if work.input:
        wanted = Wanted(work.columns, is_pair)
        wanted.check()
        return from_file(work.input, wanted)
    return None


def _texts(given: tuple[str, ...], *, is_pair: bool) -> list[Text]:
    if not is_pair:
        return list(given)
    if len(given) != 2:
        count = "One text was" if len(given) == 1 else f"{len(given)} texts were"
        raise InputError(
            f"{count} given, but the model reads pairs of texts: two TEXTs make one. For several pairs, give a file "
            "with a column for each of the two (--input FILE --column FIRST --column SECOND), or lines of two texts "
            "with a tab between them on the standard input."
        )
    return [given]


def windows(table: Table) -> Iterator[list[Row | BadRow]]:
    """The rows of a table in lists of bounded length."""
    while window := list(islice(table.rows, _WINDOW)):
        yield window


def answer_all(
    ask: Callable[[Sequence[Text]], list[Answer]],
    source: Iterable[list[Row | BadRow]],
    sink: Sink,
    *,
    most: int,
    on_bad: Callable[[BadRow], None] | None = None,
    on_progress: Callable[[Counts], None] | None = None,
) -> Counts:
    """Answer every row of a source.

    Args:
        ask: answers texts, or pairs.
        source: windows of rows; each is answered before the next is asked for.
        sink: takes some rows and their answers.
        most: rows whose answers are held at a time.
        on_bad: told of each row that cannot be read, which is then left out; None raises the first.
        on_progress: told after each window.

    Raises:
        BadRow: the first row that cannot be read, after the rows before it were answered.
    """
    counts = Counts()
    for window in source:
        rows: list[Row] = []
        bad = None
        for row in window:
            if isinstance(row, Row):
                rows.append(row)
            elif on_bad is None:
                bad = row
                break
            else:
                counts.skipped += 1
                on_bad(row)
        for start in range(0, len(rows), most):
            part = rows[start : start + most]
            said = ask([row.text for row in part])
            sink(part, said)
            counts.abstained += sum(ABSTAINED in answer for answer in said)
        if bad is not None:
            raise bad
        counts.rows += len(rows)
        if on_progress:
            on_progress(counts)
    return counts
