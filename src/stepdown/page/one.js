// One text, or one pair, answered as it is typed.

const PAUSE = 120, PAUSE_FOR_WORDS = 350, PAUSE_FOR_SPEECH = 900;  // milliseconds
let running = new AbortController();
let speaking = 0;

const fields = () => (isPair() ? [$("text"), $("text2")] : [$("text")]);

function onType() {
  // What is under way is about another text: it is neither waited for nor shown.
  running.abort();
  running = new AbortController();
  $("answer").classList.add("old");
  $("words").classList.add("old");
  const { signal } = running;
  answerTyped(signal).catch((error) => {
    if (signal.aborted) return;
    $("answer").hidden = $("words").hidden = true;
    tellProblem("problem", error.message);
  });
}

async function answerTyped(signal) {
  await ready;
  if (signal.aborted) return;
  const texts = fields().map((field) => field.value);
  if (!texts.every((text) => text.trim())) {
    clearTimeout(speaking);
    $("answer").hidden = $("words").hidden = true;
    $("live").textContent = "";
    tellProblem("problem", "");
    return;
  }
  const input = isPair() ? texts : texts[0];
  await wait(PAUSE, signal);
  const top = model.task === "multi-label" ? MOST_SCORES : MOST_BARS;
  const { said, time } = await ask("predict", { texts: [input], ...scored(top), ...abstaining() }, signal);
  if (signal.aborted) return;
  tellProblem("problem", "");
  showAnswer(said.predictions[0], time);
  await wait(PAUSE_FOR_WORDS - PAUSE, signal);
  const label = $("why-label").value ? { label: $("why-label").value } : {};
  const explained = await ask("explain", { text: input, ...label, ...scored(1) }, signal);
  if (!signal.aborted) showWords(texts, explained.said);
}

function showAnswer(answer, time) {
  const { headline, beside, bars } = told(answer);
  $("label").textContent = headline;
  $("score").textContent = beside;
  $("scores").replaceChildren(...bars.map(bar));
  $("scores").hidden = !bars.length;
  const cut = answer.truncated ? "There is more text than the model reads: a part of it was left out. " : "";
  $("facts").textContent = cut + (time === null ? "" : "Read in " + milliseconds(time) + ".");
  $("answer").hidden = false;
  $("answer").classList.remove("old");
  // Said when typing pauses, so that a screen reader is not interrupted at every key.
  clearTimeout(speaking);
  const speech = [headline, beside, cut].filter(Boolean).join(", ");
  speaking = setTimeout(() => { $("live").textContent = speech; }, PAUSE_FOR_SPEECH);
}

function bar({ name, share, applies, from }) {
  const row = element("li", "", applies ? "applies" : "");
  const track = element("span", "", "track"), filled = element("i");
  filled.style.setProperty("--share", Math.min(1, Math.max(0, share)));
  track.setAttribute("aria-hidden", "true");
  track.append(filled);
  const named = element("span", name, "name");
  row.append(named, track, element("span", percent(share), "number"));
  if (from === undefined) return row;
  const mark = element("b");
  mark.style.setProperty("--from", from);
  track.append(mark);
  // By a sign too, and not by color alone.
  if (applies) named.prepend(element("span", "✓ ", "sign"));
  row.append(element("span", (applies ? "applies" : "does not apply") + ", ", "hidden"));
  row.append(element("span", "from " + percent(from), "number from"));
  return row;
}
