// HTML's character references, such as &amp; and &#8217;.

import { NAMED } from "./named-references.js";

const REFERENCE = /&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu;
// What stands for the numbers from 128 to 159, which Windows gave to these characters.
const WINDOWS = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";

export function withoutReferences(text) {
  return text.replace(REFERENCE, (_, reference) => (reference[0] === "#" ? numbered(reference) : named(reference)));
}

function numbered(reference) {
  const digits = reference.replace(";", "").slice(1);
  const code = /^[xX]/.test(digits) ? parseInt(digits.slice(1), 16) : parseInt(digits, 10);
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return "\ufffd";
  if (code >= 0x80 && code <= 0x9f) return WINDOWS[code - 0x80];
  return isNothing(code) ? "" : String.fromCodePoint(code);
}

// Control characters that are no white space, and what will never be a character.
function isNothing(code) {
  return code <= 8 || code === 0x0b || (code >= 0x0e && code <= 0x1f) || code === 0x7f
    || (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe;
}

// The longest name that it begins with, as some may lack their semicolon.
function named(reference) {
  const characters = Array.from(reference);
  for (let length = characters.length; length > 1; length--) {
    const found = NAMED.get(characters.slice(0, length).join(""));
    if (found !== undefined) return found + characters.slice(length).join("");
  }
  return "&" + reference;
}
