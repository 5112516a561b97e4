// The page's side of `worker.js`: questions and their answers, and events of the run.

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const open = new Map();
const listeners = new Map();
let next = 0;

worker.onmessage = ({ data }) => {
    if (data.event) return listeners.get(data.event)?.(data.value);
    const { done, failed } = open.get(data.id);
    open.delete(data.id);
    if ("fault" in data) failed(new Error(data.fault));
    else done(data.value);
};
worker.onerror = (event) => {
    const err = new Error(event.message || "the worker could not be loaded");
    for (const { failed } of open.values()) failed(err);
    open.clear();
};

/** Asks the worker; the answer is awaited. An error has the engine's words. */
export function ask(question, value) {
    const id = next++;
    worker.postMessage({ id, question, value });
    return new Promise((done, failed) => open.set(id, { done, failed }));
}

/** Has `listener` hear an event: "steps", "epoch" or "end". */
export function on(event, listener) {
    listeners.set(event, listener);
}
