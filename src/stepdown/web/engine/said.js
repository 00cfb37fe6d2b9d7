// Reads JSON key by key: every fault is told with its place, and what was expected there.

const MOST_LABELS = 100000;

export class Said {
  constructor(value, where) {
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
      throw new Error(`${where} must hold a JSON object.`);
    }
    this.value = value;
    this.where = where;
  }

  fault(key, expected) {
    const found = JSON.stringify(this.get(key)) ?? "missing";
    const shown = found.length > 60 ? found.slice(0, 57) + "..." : found;
    return new Error(`${this.where}: "${key}" is ${shown}; expected ${expected}.`);
  }

  // Not what all objects inherit.
  get(key) {
    return Object.hasOwn(this.value, key) ? this.value[key] : undefined;
  }

  // Whether there is anything.
  has(key) {
    return (this.get(key) ?? null) !== null;
  }

  inner(key) {
    return new Said(this.get(key), `${this.where}: ${key}`);
  }

  text(key) {
    const value = this.get(key);
    if (!isText(value)) throw this.fault(key, "a text that is not empty");
    return value;
  }

  texts(key, least) {
    const values = this.get(key);
    if (!Array.isArray(values) || !values.every(isText) || values.length < least || values.length > MOST_LABELS
      || new Set(values).size < values.length) {
      throw this.fault(key, `a list of ${least} or more different texts, none empty`);
    }
    return values;
  }

  oneOf(key, known) {
    if (!known.includes(this.get(key))) throw this.fault(key, `one of ${known.join(", ")}, or a newer stepdown`);
    return this.get(key);
  }

  whole(key, low, high) {
    const value = this.get(key);
    if (!Number.isInteger(value) || value < low || value > high) {
      throw this.fault(key, `a whole number from ${low} to ${high}`);
    }
    return value;
  }

  number(key, low, high) {
    const value = this.get(key);
    if (!isNumber(value, low, high)) throw this.fault(key, `a number from ${low} to ${high}`);
    return value;
  }

  numbers(key, count, low, high) {
    const values = this.get(key);
    if (!Array.isArray(values) || values.length !== count || !values.every((value) => isNumber(value, low, high))) {
      throw this.fault(key, `a list of ${count} numbers from ${low} to ${high}`);
    }
    return values;
  }
}

const isText = (value) => typeof value === "string" && value !== "" && !/\p{Cs}/u.test(value);
const isNumber = (value, low, high) => typeof value === "number" && value >= low && value <= high;
