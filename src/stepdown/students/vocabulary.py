"""Chooses the words of a compact student from the task's own texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stepdown.tokens.words import LONGEST_ENTRY, Words, reserved_ids

# Pieces that spell words outside the vocabulary: at most this many, and at most this share of it.
MOST_PIECES = 1000
_PIECE_SHARE = 0.1
# Different words that are counted at a time, some 60 MB.
MOST_WORDS = 500_000
# Words left out that the merges are learnt from, some 150 MB: more of them, which are rarer, change few merges.
_MERGED_WORDS = 100_000


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs, words as the `words` tokenizer splits them; of a pair those of both texts.

    Of more than half a million different words the rarest are forgotten on the way, and a word that comes back then
    counts from there (lossy counting, Manku and Motwani 2002): no vocabulary reaches that far down. Words that are too
    long for any vocabulary are not counted.
    """
    splitter = Words(())
    counts: Counter[str] = Counter()
    rare = 0
    for text in texts:
        counts.update(splitter.words(text))
        while len(counts) > MOST_WORDS:
            rare += 1
            counts = Counter({word: count for word, count in counts.items() if count > rare})
    for word in [word for word in counts if len(word) > LONGEST_ENTRY]:
        del counts[word]
    return counts


def rank(task: Counter[str], transfer: Counter[str]) -> list[str]:
    """All words, most useful first: half by their share in the task's texts, half by that in transfer texts.

    Ties go by spelling, so that the order never depends on the order of the texts.
    """
    task_total, transfer_total = max(1, task.total()), max(1, transfer.total())
    score = {
        word: task[word] / task_total + transfer[word] / transfer_total
        for word in task.keys() | transfer.keys()
    }
    ranked = sorted(score)
    ranked.sort(
        key=score.__getitem__, reverse=True
    )  # which is stable, and makes no pair of each word and its score
    return ranked


def choose(ranked: Sequence[str], counts: Counter[str], size: int, *, pairs: bool = False) -> Words:
    """A vocabulary of at most `size` ids: the first of the ranked words, and pieces that spell the others.

    The pieces are the single characters of all words and the commonest merges of the words left out (byte-pair
    encoding, Sennrich et al. 2016, over characters), so that no text of the task's scripts is unreadable. They are
    ranked by frequency among the words, since a tier's width follows the rank.

    Args:
        ranked: words, most useful first.
        counts: frequency of each word, task and transfer together.
        size: most ids, reserved ones included.
        pairs: whether it reads pairs of texts.
    """
    room = size - reserved_ids(pairs)
    piece_room = max(0, min(MOST_PIECES, int(room * _PIECE_SHARE)))
    spelled = ranked[max(0, room - piece_room) :]
    pieces = _pieces(spelled, counts, piece_room, set(ranked[: len(ranked) - len(spelled)]), ranked)
    # Where few pieces were needed, more words take their place.
    kept = [word for word in ranked[: room - len(pieces)] if word not in pieces]
    entries = kept + list(pieces)
    # How often an entry is used stands for its rank: of a piece, among the words that it spells.
    position = {word: counts[word] for word in kept} | pieces
    entries.sort(key=lambda entry: (-position[entry], entry))
    return Words(tuple(entries), pairs=pairs)


def _pieces(
    left_out: Sequence[str], counts: Counter[str], room: int, taken: set[str], all_words: Sequence[str]
) -> dict[str, int]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    characters: Counter[str] = Counter()
    for word in all_words:
        for character in word:
            characters[character] += 1
    chosen = [
        c for c, _ in sorted(characters.items(), key=lambda item: (-item[1], item[0])) if c not in taken
    ]
    chosen = chosen[:room]
    if left_out and len(chosen) < room:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        trainer = trainers.BpeTrainer(
            vocab_size=room + len(characters), show_progress=False, initial_alphabet=sorted(characters)
        )
        tokenizer.train_from_iterator(
            (" ".join([word] * min(counts[word], 50)) for word in left_out[:_MERGED_WORDS]), trainer
        )
        merges = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        fresh = [piece for piece, _ in merges if piece not in taken and piece not in set(chosen)]
        chosen += fresh[: room - len(chosen)]
    # How often the left-out words would use each piece.
    use: Counter[str] = Counter()
    spelling = Words(tuple(chosen))
    for word in left_out:
        for index in spelling.encode([word], 64).ids.tolist():
            if index >= spelling.first_id:
                use[spelling.entries[index - spelling.first_id]] += counts[word]
    return {piece: use[piece] for piece in chosen}
