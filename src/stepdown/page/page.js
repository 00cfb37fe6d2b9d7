"use strict";
// Everything that comes from the model or the user reaches the page as text: textContent, never as markup.

const $ = (id) => document.getElementById(id);
let model = null;  // what the backend tells of it, once it has

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function tellProblem(id, message) {
  $(id).textContent = message;
  $(id).hidden = !message;
}

const count = (value) => value.toLocaleString("en");
const percent = (share) => (share * 100).toFixed(1) + "%";

function milliseconds(value) {
  return value < 9.95 ? value.toFixed(value < 0.0995 ? 2 : 1) + " ms" : count(Math.round(value)) + " ms";
}

const wait = (time, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, time);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
});
