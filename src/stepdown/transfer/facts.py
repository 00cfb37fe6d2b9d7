"""What a transfer set is made of, in counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SourceFacts:
    """What became of the texts of one source.

    Attributes:
        source: as the recipe names it.
        texts: that it holds, blank ones left out.
        sentences: that they were cut into; 0 if they were not.
        length: left out for their length, where sentences are cut.
        repeated: equal, after normalisation, to a text that was there before.
        overlapping: share words with a selection or report text.
        not_drawn: left out at random, to keep to `max_texts`.
        kept: in the transfer set.
        unscored: without scores of a teacher that is not at hand.
    """

    source: str
    texts: int
    sentences: int
    length: int
    repeated: int
    overlapping: int
    not_drawn: int
    kept: int
    unscored: int = 0

    def as_text(self) -> str:
        """For a person at a terminal, on one line."""
        what = f"sentences of {self.source}, which has {self.sentences:,} in" if self.sentences else "of the"
        where = "" if self.sentences else f" of {self.source}"
        reasons = {
            "of other lengths": self.length,
            "repeated": self.repeated,
            "that overlap held-out texts": self.overlapping,
            "not drawn": self.not_drawn,
            "that the teacher did not score": self.unscored,
        }
        out = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
        return f"{self.kept:,} {what} {self.texts:,} texts{where}{'; without ' if out else ''}{out}"


@dataclass(frozen=True)
class TransferFacts:
    """What the transfer set is made of.

    Attributes:
        labelled: texts of train.
        overlapping: those of them that share words with a selection or report text.
        sources: the other texts.
        labels: whether texts of train have labels.
        contradicted: texts that a teacher that is not at hand scored twice, and otherwise the second time.
    """

    labelled: int
    overlapping: int
    sources: tuple[SourceFacts, ...]
    labels: bool = True
    contradicted: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As plain dicts and lists that JSON can hold."""
        return asdict(self)

    def as_text(self) -> str:
        """For a person at a terminal."""
        lines = [f"Transfer set: {self.labelled + sum(source.kept for source in self.sources):,} texts"]
        some = f", of which {self.overlapping:,} overlap held-out texts" if self.overlapping else ""
        what = "labelled texts of train" if self.labels else "texts of train, without labels"
        lines.append(f"  - {self.labelled:,} {what}{some}")
        lines += [f"  - {source.as_text()}" for source in self.sources]
        if self.contradicted:
            texts = "1 text has" if self.contradicted == 1 else f"{self.contradicted:,} texts have"
            lines.append(
                f"  - {texts} other scores of the teacher in another row: those that came first count"
            )
        return "\n".join(lines)
