// What the outputs of a network mean, kind of task by kind of task.

// The probability of each label: softmax, or sigmoid where each label is by itself; each is a float32.
export function probabilities(task, logits, temperature) {
  const scaled = logits.map((logit) => logit / temperature);
  if (task === "multi-label") return scaled.map((logit) => Math.fround(1 / (1 + Math.exp(-logit))));
  const highest = Math.max(...scaled);
  const weights = scaled.map((logit) => Math.exp(logit - highest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => Math.fround(weight / sum));
}

// Positions of numbers, the largest first; of equal ones the first.
export const ranked = (values) => values.map((_, index) => index).sort((a, b) => values[b] - values[a]);

// Whether a probability is at least a threshold, both as float32.
export const reaches = (share, threshold) => share >= Math.fround(threshold);

// A float32 with no more digits than tell it from others.
export function shortest(value) {
  for (let digits = 1; digits < 9; digits++) {
    const found = Number(value.toPrecision(digits));
    if (Math.fround(found) === value) return found;
  }
  return Number(value.toPrecision(9));
}

// A number with so many places, halves to the even neighbour.
export function rounded(value, places) {
  const scaled = value * 10 ** places, below = Math.floor(scaled);
  const up = scaled - below > 0.5 || (scaled - below === 0.5 && below % 2 !== 0);
  return (below + (up ? 1 : 0)) / 10 ** places;
}
