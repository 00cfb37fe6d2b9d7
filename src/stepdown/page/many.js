// Many texts, or pairs, as a table and as CSV.

const SHOWN_ROWS = 500;  // of the table; the CSV has all
let rows = [], predicting = false;

async function predictLines() {
  if (predicting) return;
  setPredicting(true);
  rows = [];
  $("table").tBodies[0].replaceChildren();
  $("table").hidden = $("save").hidden = true;
  $("progress").textContent = "";
  tellProblem("many-problem", "");
  let spent = 0;
  try {
    await ready;
    const inputs = pasted($("lines").value);
    if (!inputs.length) {
      $("progress").textContent = isPair() ? "There is no pair yet." : "There is no text yet.";
      $("lines").focus();
      return;
    }
    for (const chunk of chunks(inputs)) {
      const { said, time } = await ask("predict", { texts: chunk, ...scored(1), ...abstaining() });
      spent += time || 0;
      addRows(said.predictions);
      if (rows.length < inputs.length) {
        $("progress").textContent = count(rows.length) + " of " + things(inputs.length) + " …";
      }
    }
    $("progress").textContent = closing(spent);
  } catch (error) {
    tellProblem("many-problem", error.message);
    $("progress").textContent = rows.length ? things(rows.length) + " done." : "";
  } finally {
    setPredicting(false);
    $("save").hidden = rows.length === 0;
  }
}

// A button that is disabled loses the keyboard's focus, so this one is only said to be.
function setPredicting(value) {
  predicting = value;
  $("go").setAttribute("aria-disabled", value);
}

// A text a line; of pairs, the two have the line's only tab between them, as `stepdown predict` reads them.
function pasted(content) {
  const inputs = [];
  for (const [index, line] of content.split(/\r?\n/).entries()) {
    if (!line.trim()) continue;
    const texts = isPair() ? line.split("\t") : [line];
    if (isPair() && texts.length !== 2) {
      const found = texts.length === 1 ? "no tab" : count(texts.length - 1) + " tabs";
      throw new Error("Line " + count(index + 1) + " has " + found + ". Expected two texts with one tab between them.");
    }
    for (const text of texts) checkLength(text, index + 1);
    inputs.push(isPair() ? texts : line);
  }
  return inputs;
}

// What reads the texts would tell of one by its place in a request, which nobody sees.
function checkLength(text, line) {
  const most = model.limits.characters;
  if (text.length <= most) return;
  const found = Array.from(text).length;  // the limit is on code points, of which `length` counts some twice
  if (found <= most) return;
  throw new Error("A text may have " + count(most) + " characters; line " + count(line) + " has "
    + (isPair() ? "one of " : "") + count(found) + ". Cut it, or split it.");
}

// Lists of inputs that the limits let pass. JSON escapes may double a text's bytes, and more.
function* chunks(inputs) {
  const { texts, body } = model.limits;
  let chunk = [], bytes = 100;
  for (const input of inputs) {
    const size = new TextEncoder().encode(JSON.stringify(input)).length + 1;
    if (chunk.length && (chunk.length === Math.min(texts, 500) || bytes + size > body)) {
      yield chunk;
      chunk = [];
      bytes = 100;
    }
    chunk.push(input);
    bytes += size;
  }
  yield chunk;
}

function addRows(predictions) {
  for (const answer of predictions) {
    const { texts, cells, csv, names } = told(answer);
    if (rows.length < SHOWN_ROWS) {
      const row = element("tr"), first = element("td");
      first.append(...texts.map((text) => element("div", text)));
      row.append(first, ...cells.map((cell, index) => element("td", cell, cellClass(index))));
      $("table").tBodies[0].append(row);
    }
    rows.push({ csv, names, value: answer.value });
  }
  $("table").hidden = false;
}

// Of a column after the text: the last of what has numbers is one.
const cellClass = (index) => (isNumber() || index === 1 ? "number" : "");

function closing(spent) {
  const rest = rows.length > SHOWN_ROWS ? " The first " + SHOWN_ROWS + " are shown; the CSV has all." : "";
  const found = isNumber() ? spread(rows.map((row) => row.value)) : tally(rows.flatMap((row) => row.names));
  return things(rows.length) + ", " + milliseconds(spent / rows.length) + " each: " + found + "." + rest;
}

function tally(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) || 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 5);
  return most.map(([name, n]) => name + " " + count(n)).join(", ");
}

function spread(values) {
  const [low, high] = [Math.min, Math.max].map((pick) => values.reduce((a, b) => pick(a, b)));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return "from " + digits(low, 4) + " to " + digits(high, 4) + ", " + digits(mean, 4) + " in the mean";
}

function saveCsv() {
  const cell = (value) => '"' + String(value).replaceAll('"', '""') + '"';
  const lines = [Object.keys(rows[0].csv), ...rows.map(({ csv }) => Object.values(csv))];
  const content = lines.map((line) => line.map(cell).join(",") + "\r\n").join("");
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "text/csv" }));
  link.download = "predictions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
