// Asks the model that runs in this tab, in a worker beside the page.

const WORKER = "engine/worker.js";
const FROM_DISK = "Opened as a file, a page may not read what lies beside it. Start python3 -m http.server in its "
  + "folder, and open http://localhost:8000.";
const NOT_LOADED = "The program that runs the model could not be loaded. Is the whole folder there, and are its .js "
  + "files sent as JavaScript?";

const waiting = new Map();  // number of a question → what its answer, or a problem, is told to
let questions = 0, obstacle = "";
const worker = location.protocol === "file:" ? null : startWorker();

function startWorker() {
  // Where a policy of trusted types holds, a worker's address must come out of one.
  const trusted = window.trustedTypes?.createPolicy("stepdown", { createScriptURL: () => WORKER });
  const made = new Worker(trusted ? trusted.createScriptURL("") : WORKER, { type: "module" });
  made.onmessage = ({ data: { id, ...answer } }) => {
    waiting.get(id)(answer);
    waiting.delete(id);
  };
  made.onerror = (event) => {
    event.preventDefault();
    obstacle = NOT_LOADED;
    for (const tell of waiting.values()) tell({ problem: obstacle });
    waiting.clear();
  };
  $("about").textContent = "Loading the model …";
  return made;
}

async function ask(path, body, signal) {
  if (!worker || obstacle) throw new Error(worker ? obstacle : FROM_DISK);
  const id = questions++;
  const answer = new Promise((resolve) => waiting.set(id, resolve));
  worker.postMessage({ id, path, body });
  signal?.addEventListener("abort", () => worker.postMessage({ cancel: id }), { once: true });
  const { said, time, problem } = await answer;
  if (problem !== undefined) throw new Error(problem);
  // The page is made for one model, whose name stands there already.
  return path === "model" ? { said: { name: $("name").textContent, ...said }, time: null } : { said, time };
}
