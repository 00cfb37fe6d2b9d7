// The words that mattered, marked in the text: how strongly, by color; for or against, by a full or a dotted line too.

// What would be nothing: of log-odds, and of a number, whose spread is not known, but which has only so many digits.
const least = (prediction) => (isNumber() ? Math.max(1e-4 * Math.abs(prediction.value), 1e-12) : 0.5);

function showWords(texts, { label, pieces, prediction }) {
  const strongest = Math.max(least(prediction), ...pieces.map((piece) => Math.abs(piece.importance)));
  const shown = texts.map((text, index) => {
    const own = pieces.filter((piece) => (piece.text_index || 0) === index);
    return marked(element("div"), text, own, strongest);
  });
  const titled = shown.flatMap((text, index) => [element("h4", index ? "Second text" : "First text"), text]);
  $("why").replaceChildren(...(isPair() ? titled : shown));
  $("why-help").textContent = summary(label, pieces, least(prediction) / 10);
  $("words").hidden = false;
  $("words").classList.remove("old");
  const overflows = $("why").scrollHeight > $("why").clientHeight;
  overflows ? $("why").setAttribute("tabindex", "0") : $("why").removeAttribute("tabindex");
}

function marked(parent, text, pieces, strongest) {
  const characters = Array.from(text);  // offsets count code points
  let at = 0;
  for (const piece of pieces) {
    parent.append(characters.slice(at, piece.start).join(""));
    at = piece.end;
    const weight = Math.abs(piece.importance) / strongest;
    if (weight < 0.2) {
      parent.append(piece.text);
      continue;
    }
    const mark = element("mark", piece.text, piece.importance > 0 ? "for" : "against");
    mark.style.setProperty("--weight", weight);
    mark.title = signed(piece.importance);
    parent.append(mark);
  }
  parent.append(characters.slice(at).join(""));
  return parent;
}

function signed(value) {
  const size = Math.abs(value);
  return (value < 0 ? "−" : "+") + (isNumber() ? digits(size, 3) : size.toFixed(1));
}

function summary(label, pieces, least) {
  const short = (text) => (text.length > 40 ? Array.from(text).slice(0, 39).join("") + "…" : text);
  const named = (lead, sign) => {
    const best = pieces
      .filter((piece) => sign * piece.importance >= least)
      .sort((a, b) => sign * (b.importance - a.importance))
      .slice(0, 3)
      .map((piece) => "“" + short(piece.text) + "” (" + signed(piece.importance) + ")");
    return best.length ? lead + " " + label + ": " + best.join(", ") + ". " : "";
  };
  const [up, down] = isNumber() ? ["More", "Less"] : ["For", "Against"];
  const falls = isNumber() ? label + " falls" : "the label’s log-odds fall";
  return (named(up, 1) + named(down, -1) || "No single word changes much. ")
    + "The number is by how much " + falls + " when the word is left out.";
}
