// Classes of characters that more than one module needs. Which character is of which class, and what becomes of it in
// lower case and in a normal form, is what this browser's version of Unicode says.

// White space as docs/bundle.md lists it, for use within the brackets of a pattern; \s would be other characters.
export const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

// Letters, digits and the underscore, for use within the brackets of a pattern with the flag u.
export const WORD = "\\p{L}\\p{N}_";

const SPACES = new RegExp(`[${SPACE}]+`);

// What stands between white space.
export const split = (text) => text.split(SPACES).filter(Boolean);

// How many code points a text has; its length counts those beyond U+FFFF twice.
export function size(text) {
  let found = 0;
  for (const _ of text) found++;
  return found;
}
