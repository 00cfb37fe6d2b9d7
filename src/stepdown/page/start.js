// The page is made to fit the model, then it listens.

async function showModel() {
  model = (await ask("model")).said;
  const kind = KINDS[model.task];
  document.title = model.name + " · stepdown";
  $("name").textContent = model.name;
  const size = model.parameters ? " The model has " + count(model.parameters) + " parameters." : "";
  $("about").textContent = kind.does(isPair() ? " for a pair of texts." : " for a text.") + size;
  $("text-help").textContent = kind.changes;
  $("why-label").append(...model.labels.slice(0, 1000).map((name) => new Option(name)));
  $("why-choice").hidden = $("below-choice").hidden = isNumber();
  $("scores").classList.toggle("marked", Boolean(model.thresholds));
  if (isPair()) fitPairs();
  const heads = kind.columns().map((name, index) => {
    const head = element("th", name, cellClass(index));
    head.scope = "col";
    return head;
  });
  $("table").tHead.rows[0].append(...heads);
  if (model.card.trim()) {
    $("card").replaceChildren(...markdown(model.card));
    $("card-details").hidden = false;
  }
}

function fitPairs() {
  $("one").textContent = "One pair of texts";
  $("text-label").textContent = "First text";
  $("second").hidden = false;
  $("text-help").textContent += " Both texts are needed.";
  $("many").textContent = "Many pairs";
  $("lines-label").textContent = "Pairs, one a line, with a tab between the two";
  $("lines-help").textContent = "Two columns copied from a spreadsheet come like that.";
  $("lines-help").hidden = false;
  $("text-head").textContent = "Texts";
}

const ready = showModel();
ready.catch((error) => {
  $("about").textContent = "";
  tellProblem("problem", error.message);
});
for (const id of ["text", "text2"]) $(id).addEventListener("input", onType);
$("why-label").addEventListener("change", onType);
$("below").addEventListener("input", onType);
$("go").addEventListener("click", predictLines);
$("save").addEventListener("click", saveCsv);
$("lines").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) predictLines();
});
if ($("text").value) onType();  // a browser keeps what was typed when the page is loaded again
