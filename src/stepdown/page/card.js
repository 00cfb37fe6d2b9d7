// A little of Markdown: headings, lists, tables, fenced code, paragraphs. All else, links included, stays text.
function markdown(source) {
  const blocks = [];
  let list = null, paragraph = null, code = null;
  const lines = source.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at];
    const fence = /^(```|~~~)/.test(line);
    if (code) {
      if (fence) code = null;
      else code.textContent += line + "\n";
      continue;
    }
    const heading = /^#{1,6}\s+(.*)$/.exec(line), item = /^[-*]\s+(.*)$/.exec(line);
    const height = tableHeight(lines, at);
    if (fence) {
      const pre = element("pre");
      pre.tabIndex = 0;  // it may scroll sideways
      pre.append(code = element("code"));
      blocks.push(pre);
    } else if (heading) {
      blocks.push(inline(element("h3"), heading[1]));
    } else if (item) {
      if (!list) blocks.push(list = element("ul"));
      list.append(inline(element("li"), item[1]));
    } else if (height) {
      blocks.push(tabled(lines.slice(at, at + height)));
      at += height - 1;
    } else if (line.trim()) {
      if (!paragraph) blocks.push(paragraph = element("p"));
      else paragraph.append(" ");
      inline(paragraph, line);
    }
    if (!item) list = null;
    if (!line.trim() || heading || item || fence || height) paragraph = null;
  }
  return blocks;
}

// How many lines of a table begin here, if one does: headings, a rule that sets each column to a side, and rows.
function tableHeight(lines, at) {
  if (!lines[at].startsWith("|") || !/^\|(\s*:?-+:?\s*\|)+\s*$/.test(lines[at + 1] ?? "")) return 0;
  let end = at + 2;
  while (lines[end]?.startsWith("|")) end++;
  return end - at;
}

function tabled(lines) {
  const [headings, rule, ...rows] = lines.map(cellsOf);
  const row = (tag, cells) => {
    const made = element("tr");
    // Rows may have fewer cells than there are headings, or more.
    made.append(...headings.map((_, index) => {
      return inline(element(tag, "", /^-+:$/.test(rule[index]) ? "number" : ""), cells[index] ?? "");
    }));
    return made;
  };
  const table = element("table"), box = element("div", "", "box");
  const head = row("th", headings);
  for (const heading of head.cells) heading.scope = "col";
  table.createTHead().append(head);
  table.createTBody().append(...rows.map((cells) => row("td", cells)));
  box.tabIndex = 0;  // it may scroll sideways
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Table");
  box.append(table);
  return box;
}

// What stands behind each bar but the last; a bar after a backslash is text.
function cellsOf(line) {
  const cells = Array.from(line.trim().matchAll(/\|((?:\\.?|[^|\\])*)/g), ([, cell]) => cell.trim());
  if (!cells.at(-1)) cells.pop();
  return cells.map((cell) => cell.replaceAll("\\|", "|"));
}

// Code spans and bold; a backslash before punctuation says that it is text.
function inline(parent, text) {
  for (const [part] of text.matchAll(/`[^`]+`|\*\*(?:\\.|[^*\\])+\*\*|\\.|[^`*\\]+|./g)) {
    if (part.length > 1 && part[0] === "`") parent.append(element("code", part.slice(1, -1)));
    else if (part.length > 4 && part.startsWith("**")) parent.append(element("strong", unescaped(part.slice(2, -2))));
    else parent.append(unescaped(part));
  }
  return parent;
}

const unescaped = (text) => text.replace(/\\([!-/:-@[-`{-~])/g, "$1");
