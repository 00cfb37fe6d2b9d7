// What all tokenizers share: reading chunk by chunk, what is around the ids of a text, and how pairs are cut.

// Chunks that are remembered: more than nine in ten of running text.
const MOST_KEPT = 1 << 15;
// Longer chunks hardly ever come back.
const LONGEST_KEPT = 48;

// A function of chunks that remembers what it said.
export function remembering(compute) {
  const known = new Map();
  return (chunk) => {
    let value = known.get(chunk);
    if (value === undefined) {
      value = compute(chunk);
      if (known.size >= MOST_KEPT) known.clear();
      if (chunk.length <= LONGEST_KEPT) known.set(chunk, value);
    }
    return value;
  };
}

// A function that reads a text as ids, chunk by chunk, until there are more than `most`.
export function reader(chunks, idsOf) {
  return (text, most) => {
    const ids = [];
    for (const [chunk] of text.matchAll(chunks)) {
      for (const id of idsOf(chunk)) ids.push(id);
      if (ids.length > most) break;
    }
    return ids;
  };
}

// The ids of a text, or of the two of a pair, and whether any of them was cut.
//
// texts      one, or two; without U+001F in them
// read       a `reader`
// frame      ids `before`, `between` and `after`; those that stand for a text without any: `empty`. Where nothing is
//            between, a pair is read as one text
// maxLength  most ids, those of the frame included
export function framed(texts, read, { before = [], between = [], after = [], empty = [] }, maxLength) {
  const pair = texts.length === 2 && between.length > 0;
  const room = maxLength - before.length - after.length - (pair ? between.length : 0);
  if (room < (pair ? 2 : 1)) {
    throw new Error(`max_length is ${maxLength}, which leaves no room for a ${pair ? "pair of texts" : "text"}.`);
  }
  if (!pair) {
    const ids = orElse(read(texts.join("\x1f"), room), empty);
    return { ids: [...before, ...ids.slice(0, room), ...after], truncated: ids.length > room };
  }
  let found = texts.map((text) => orElse(read(text, room), empty));
  if (found.every((ids) => ids.length > room)) {
    // Which of the two is longer decides about the odd id.
    found = texts.map((text) => orElse(read(text, Infinity), empty));
  }
  const lengths = found.map((ids) => ids.length);
  const kept = longestFirst(...lengths, room);
  const [first, second] = found.map((ids, index) => ids.slice(0, kept[index]));
  return {
    ids: [...before, ...first, ...between, ...second, ...after],
    truncated: kept.some((count, index) => count !== lengths[index]),
  };
}

const orElse = (ids, empty) => (ids.length ? ids : empty);

// How many ids each text of a pair keeps where there is room for so many of both together.
export function longestFirst(first, second, room) {
  if (first + second <= room) return [first, second];
  const shorter = Math.min(first, second, Math.floor(room / 2));
  return first <= second ? [shorter, room - shorter] : [room - shorter, shorter];
}
