"use strict";
// Everything that comes from the server or the user reaches the page as text: textContent, never as markup.

const $ = (id) => document.getElementById(id);
const SHOWN_ROWS = 500;  // of the table; the CSV has all
const PAUSE = 120, PAUSE_FOR_WORDS = 350, PAUSE_FOR_SPEECH = 900;  // milliseconds
let limits = { texts: 1000, characters: 100000, body: 2097152 };

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

const percent = (share) => (share * 100).toFixed(1) + "%";

function milliseconds(value) {
  return value < 9.95 ? value.toFixed(value < 0.0995 ? 2 : 1) + " ms" : Math.round(value).toLocaleString("en") + " ms";
}

const wait = (time, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, time);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
});

// Asks the server; a busy one is asked again a few times, when it says. Returns the answer and the model's time.
async function ask(path, body, signal) {
  for (let attempt = 0; ; attempt++) {
    let response;
    try {
      response = await fetch(path, {
        method: body ? "POST" : "GET",
        headers: body ? { "Content-Type": "application/json" } : {},
        body: body && JSON.stringify(body),
        signal,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Error("The server does not answer. Is it still running?");
    }
    if (response.status === 503 && attempt < 5) {
      await wait(1000 * (Number(response.headers.get("Retry-After")) || 1), signal);
      continue;
    }
    const said = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(said.detail || "The server answered " + response.status + ".");
    const time = /dur=([\d.]+)/.exec(response.headers.get("Server-Timing") || "");
    return { said, time: time ? Number(time[1]) : null };
  }
}

// --- what a prediction says: the one place that knows the kinds of answers ---------------------------------

// An answer as the page shows it: a headline, a number beside it, bars from 0 to 1, and columns of the CSV.
function told(answer) {
  const own = answer.labels || [answer.label];
  const bars = Object.entries(answer.scores || {}).map(([name, share]) => ({
    name, share, said: own.includes(name),
  }));
  const text = [answer.text].flat().join(" / ");
  if ("value" in answer) {
    return { headline: answer.value.toLocaleString("en"), number: "", bars, columns: { text, value: answer.value } };
  }
  if (answer.labels) {
    return { headline: own.join(", ") || "no label", number: "", bars, columns: { text, labels: own.join("; ") } };
  }
  const columns = { text, label: answer.label, score: answer.score };
  return { headline: answer.label, number: percent(answer.score), bars, columns };
}

// --- one text ----------------------------------------------------------------------------------------------

const typed = $("text");
let running = new AbortController();
let speaking = 0;

function onType() {
  // What is under way is about another text: it is neither waited for nor shown.
  running.abort();
  running = new AbortController();
  const text = typed.value;
  $("answer").classList.add("old");
  $("words").classList.add("old");
  if (!text.trim()) {
    clearTimeout(speaking);
    $("answer").hidden = $("words").hidden = true;
    $("live").textContent = "";
    tellProblem("problem", "");
    return;
  }
  const { signal } = running;
  answerText(text, signal).catch((error) => {
    if (signal.aborted) return;
    $("answer").hidden = $("words").hidden = true;
    tellProblem("problem", error.message);
  });
}

async function answerText(text, signal) {
  await wait(PAUSE, signal);
  const { said, time } = await ask("predict", { texts: [text] }, signal);
  if (signal.aborted) return;
  tellProblem("problem", "");
  showAnswer(said.predictions[0], time);
  await wait(PAUSE_FOR_WORDS - PAUSE, signal);
  const explained = await ask("explain", { text }, signal);
  if (!signal.aborted) showWords(text, explained.said);
}

function showAnswer(answer, time) {
  const { headline, number, bars } = told(answer);
  $("label").textContent = headline;
  $("score").textContent = number;
  $("scores").replaceChildren(...bars.map(bar));
  const cut = answer.truncated ? "The text is longer than the model reads: a part of it was left out. " : "";
  $("facts").textContent = cut + (time === null ? "" : "Read in " + milliseconds(time) + ".");
  $("answer").hidden = false;
  $("answer").classList.remove("old");
  // Said when typing pauses, so that a screen reader is not interrupted at every key.
  clearTimeout(speaking);
  const speech = [headline, number, cut].filter(Boolean).join(", ");
  speaking = setTimeout(() => { $("live").textContent = speech; }, PAUSE_FOR_SPEECH);
}

function bar({ name, share, said }) {
  const row = element("li", "", said ? "said-one" : "");
  const track = element("span", "", "track"), filled = element("i");
  filled.style.setProperty("--share", Math.min(1, Math.max(0, share)));
  track.setAttribute("aria-hidden", "true");
  track.append(filled);
  row.append(element("span", name, "name"), track, element("span", percent(share), "number"));
  return row;
}

// The text with its pieces marked: how strongly, by color; for or against, by a full or a dotted line too.
function showWords(text, { label, pieces }) {
  const characters = Array.from(text);  // offsets count code points
  const strongest = Math.max(0.5, ...pieces.map((piece) => Math.abs(piece.importance)));
  const shown = [];
  let at = 0;
  for (const piece of pieces) {
    shown.push(characters.slice(at, piece.start).join(""));
    at = piece.end;
    const weight = Math.abs(piece.importance) / strongest;
    if (weight < 0.2) {
      shown.push(piece.text);
      continue;
    }
    const mark = element("mark", piece.text, piece.importance > 0 ? "for" : "against");
    mark.style.setProperty("--weight", weight);
    mark.title = signed(piece.importance);
    shown.push(mark);
  }
  shown.push(characters.slice(at).join(""));
  $("why").replaceChildren(...shown);
  $("why-help").textContent = summary(label, pieces);
  $("words").hidden = false;
  $("words").classList.remove("old");
  const overflows = $("why").scrollHeight > $("why").clientHeight;
  overflows ? $("why").setAttribute("tabindex", "0") : $("why").removeAttribute("tabindex");
}

const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(1);

function summary(label, pieces) {
  const short = (text) => (text.length > 40 ? Array.from(text).slice(0, 39).join("") + "…" : text);
  const named = (lead, sign) => {
    const best = pieces
      .filter((piece) => sign * piece.importance >= 0.05)
      .sort((a, b) => sign * (b.importance - a.importance))
      .slice(0, 3)
      .map((piece) => "“" + short(piece.text) + "” (" + signed(piece.importance) + ")");
    return best.length ? lead + " " + label + ": " + best.join(", ") + ". " : "";
  };
  return (named("For", 1) + named("Against", -1) || "No single word changes much. ")
    + "The number is by how much the label’s log-odds fall when the word is left out.";
}

// --- many texts --------------------------------------------------------------------------------------------

let rows = [];

async function labelLines() {
  const lines = $("lines").value.split(/\r?\n/).filter((line) => line.trim());
  rows = [];
  $("table").tBodies[0].replaceChildren();
  $("table").hidden = $("save").hidden = true;
  tellProblem("many-problem", "");
  if (!lines.length) {
    $("progress").textContent = "There is no text yet.";
    $("lines").focus();
    return;
  }
  $("go").disabled = true;
  let spent = 0;
  try {
    for (const chunk of chunks(lines)) {
      const { said, time } = await ask("predict", { texts: chunk, top: 1 });
      spent += time || 0;
      addRows(said.predictions);
      if (rows.length < lines.length) {
        $("progress").textContent = count(rows.length) + " of " + count(lines.length) + " texts …";
      }
    }
    $("progress").textContent = closing(spent);
  } catch (error) {
    tellProblem("many-problem", error.message);
    $("progress").textContent = rows.length ? count(rows.length) + " texts were labelled." : "";
  } finally {
    $("go").disabled = false;
    $("save").hidden = rows.length === 0;
  }
}

// Lists of lines that the limits let pass. JSON escapes may double a text's bytes, and more.
function* chunks(lines) {
  let chunk = [], bytes = 100;
  for (const line of lines) {
    const size = new TextEncoder().encode(JSON.stringify(line)).length + 1;
    if (chunk.length && (chunk.length === Math.min(limits.texts, 500) || bytes + size > limits.body)) {
      yield chunk;
      chunk = [];
      bytes = 100;
    }
    chunk.push(line);
    bytes += size;
  }
  yield chunk;
}

function addRows(predictions) {
  for (const answer of predictions) {
    const { headline, number, columns } = told(answer);
    if (rows.length < SHOWN_ROWS) {
      const row = element("tr");
      row.append(element("td", columns.text), element("td", headline), element("td", number, "number"));
      $("table").tBodies[0].append(row);
    }
    rows.push({ headline, columns });
  }
  $("table").hidden = false;
}

const count = (value) => value.toLocaleString("en");

function closing(spent) {
  const tally = new Map();
  for (const { headline } of rows) tally.set(headline, (tally.get(headline) || 0) + 1);
  const most = [...tally].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([name, n]) => name + " " + count(n));
  const rest = rows.length > SHOWN_ROWS ? " The first " + SHOWN_ROWS + " are shown; the CSV has all." : "";
  const texts = rows.length === 1 ? "1 text" : count(rows.length) + " texts";
  return texts + ", " + milliseconds(spent / rows.length) + " each: " + most.join(", ") + "." + rest;
}

function saveCsv() {
  const cell = (value) => '"' + String(value).replaceAll('"', '""') + '"';
  const lines = [Object.keys(rows[0].columns), ...rows.map(({ columns }) => Object.values(columns))];
  const content = lines.map((line) => line.map(cell).join(",") + "\r\n").join("");
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "text/csv" }));
  link.download = "labels.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// --- the model, and its card by card.js ---------------------------------------------------------------------

async function showModel() {
  const { said: model } = await ask("model");
  limits = model.limits;
  document.title = model.name + " · stepdown";
  $("name").textContent = model.name;
  const few = model.labels.slice(0, 8).join(", ") + (model.labels.length > 8 ? ", …" : "");
  const size = model.parameters ? " A text classifier of " + count(model.parameters) + " parameters." : "";
  $("about").textContent = model.labels.length + " labels: " + few + "." + size;
  if (model.card.trim()) {
    $("card").replaceChildren(...markdown(model.card));
    $("card-details").hidden = false;
  }
}

function tellProblem(id, message) {
  $(id).textContent = message;
  $(id).hidden = !message;
}

typed.addEventListener("input", onType);
$("go").addEventListener("click", labelLines);
$("save").addEventListener("click", saveCsv);
$("lines").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("go").disabled) labelLines();
});
showModel().catch((error) => tellProblem("problem", error.message));
if (typed.value) onType();  // a browser keeps what was typed when the page is loaded again
