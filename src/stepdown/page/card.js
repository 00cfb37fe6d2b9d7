// A little of Markdown: headings, lists, fenced code, paragraphs. All else, links included, stays text.
function markdown(source) {
  const blocks = [];
  let list = null, paragraph = null, code = null;
  for (const line of source.split(/\r?\n/)) {
    const fence = /^(```|~~~)/.test(line);
    if (code) {
      if (fence) code = null;
      else code.textContent += line + "\n";
      continue;
    }
    const heading = /^#{1,6}\s+(.*)$/.exec(line), item = /^[-*]\s+(.*)$/.exec(line);
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
    } else if (line.trim()) {
      if (!paragraph) blocks.push(paragraph = element("p"));
      else paragraph.append(" ");
      inline(paragraph, line);
    }
    if (!item) list = null;
    if (!line.trim() || heading || item || fence) paragraph = null;
  }
  return blocks;
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
