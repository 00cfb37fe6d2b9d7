// Asks the server; a busy one is asked again a few times, when it says. Returns the answer and the model's time.
async function ask(path, body, signal) {
  for (let attempt = 0; ; attempt++) {
    let response;
    try {
      response = await fetch(path, {
        method: body ? "POST" : "GET",
        headers: body ? { "Content-Type": "application/json" } : {},
        body: body && JSON.stringify(body),
        signal,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Error("The server does not answer. Is it still running?");
    }
    if (response.status === 503 && attempt < 5) {
      await wait(1000 * (Number(response.headers.get("Retry-After")) || 1), signal);
      continue;
    }
    const said = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(said.detail || "The server answered " + response.status + ".");
    const time = /dur=([\d.]+)/.exec(response.headers.get("Server-Timing") || "");
    return { said, time: time ? Number(time[1]) : null };
  }
}
