// What a model says, kind by kind: the one place that knows the tasks. One text or a pair is an "input" here.

const MOST_BARS = 5;
const MOST_SCORES = 100;  // of a text with several labels: all of them, or all that one can look through

const KINDS = {
  "single-label": {
    does: (of) => "One of " + listed() + of,
    changes: "Labels and scores change as you type.",
    columns: () => ["Label", "Score"],
    told: (answer) => ({
      headline: answer.label ?? "No label",
      beside: (answer.abstained ? "the highest score is " : "") + percent(answer.score),
      bars: bars(answer, [answer.label]),
      cells: [answer.label ?? "none", percent(answer.score)],
      csv: { label: answer.label ?? "", score: answer.score },
      names: [answer.label ?? "none"],
    }),
  },
  "multi-label": {
    does: (of) => "Any of " + listed() + of,
    changes: "Labels and scores change as you type. A label applies from its mark on.",
    columns: () => ["Labels"],
    told: (answer) => {
      return {
        headline: answer.labels.join(", ") || (answer.abstained ? "No label" : "No label applies"),
        beside: answer.abstained ? "no score is high enough" : "",
        bars: bars(answer, answer.labels),
        cells: [answer.labels.join(", ") || "none"],
        csv: { labels: answer.labels.map(quoted).join(";") },
        names: answer.labels.length ? answer.labels : ["none"],
      };
    },
  },
  regression: {
    does: (of) => "A number, " + model.labels[0] + "," + of,
    changes: "The number changes as you type.",
    columns: () => [model.labels[0]],
    told: (answer) => ({
      headline: digits(answer.value),
      beside: model.labels[0],
      bars: [],
      cells: [digits(answer.value)],
      csv: { value: answer.value },
      names: [],
    }),
  },
};

// An answer as the page shows it: a headline with something beside it, bars from 0 to 1, cells of the table,
// columns of the CSV, and the names that are counted.
function told(answer) {
  const shown = KINDS["value" in answer ? "regression" : answer.labels ? "multi-label" : "single-label"].told(answer);
  const texts = [answer.text].flat();
  const columns = texts.length === 1 ? { text: texts[0] } : { text1: texts[0], text2: texts[1] };
  return { ...shown, texts, csv: { ...columns, ...shown.csv } };
}

// The labels that apply, and others until there are enough; `from` is where a label begins to apply.
function bars(answer, own) {
  const all = Object.entries(answer.scores).map(([name, share]) => ({
    name, share, applies: own.includes(name), from: model?.thresholds?.[name],
  }));
  all.sort((a, b) => b.share - a.share);  // JavaScript puts keys that look like numbers first, in their order
  return all.filter((bar, index) => bar.applies || index < MOST_BARS);
}

const isNumber = () => model.task === "regression";
const isPair = () => model.texts_per_input === 2;
const things = (n) => count(n) + (isPair() ? " pair" : " text") + (n === 1 ? "" : "s");
const scored = (top) => (isNumber() ? {} : { top });
// The least score that a label is given for, in percent as it is typed; what is none, or none above 0, holds nothing back.
function abstaining() {
  const below = Math.min(100, Number($("below").value)) / 100;
  return isNumber() || !(below > 0) ? {} : { abstain_below: below };
}
// As many digits as mean something, in any unit.
const digits = (value, most = 6) => String(Number(value.toPrecision(most))).replace("-", "−");
// As `stepdown predict` writes a list of names in a cell.
const quoted = (name) => (/[;"\r\n]/.test(name) ? '"' + name.replaceAll('"', '""') + '"' : name);

function listed() {
  const names = model.labels;
  return count(names.length) + " labels (" + names.slice(0, 8).join(", ") + (names.length > 8 ? ", …" : "") + ")";
}
