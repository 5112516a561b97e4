// The run's thread: the engine, one run, and what is kept of it over a reload. The page talks to it by `ask` in `engine.js`.

import init, { Device, columns, data, giveFile, optimizers } from "./pkg/downhill_web.js";
import { forget, keep, kept } from "./store.js";

// Seconds of a piece of training. A question ends the piece, so that it is answered at once.
const PIECE = 4;

let device, run, handle;
let files = [];
let history = { steps: [], epochs: [], seconds: 0 };
let isTraining = false;
let waiting = [];

const tell = (event, value) => postMessage({ event, value });

// The engine calls it during a piece.
function listen(kind, value) {
    if (kind === "steps") {
        for (let i = 0; i < value.length; i += 3) history.steps.push([value[i], value[i + 1], value[i + 2]]);
        tell("steps", value);
    } else {
        const epoch = JSON.parse(value);
        history.epochs.push(epoch);
        tell("epoch", epoch);
    }
}

// Keeps the run for a reload.
async function save() {
    await keep({ config: run.config(), files, history, state: await run.snapshot(), about: run.about() });
}

async function answerAll() {
    const questions = waiting;
    waiting = [];
    for (const question of questions) await answer(question);
}

// Trains piece by piece until the run is over, or somebody stops it.
async function train() {
    isTraining = true;
    let end = "stopped";
    try {
        while (isTraining) {
            const begun = performance.now();
            end = await run.train(PIECE, listen);
            history.seconds += (performance.now() - begun) / 1000;
            if (waiting.length) await answerAll();
            if (end !== "stopped") break;
            if (performance.now() - begun > 900 * PIECE) await save();
        }
        await save();
        tell("end", { end, seconds: history.seconds });
    } catch (err) {
        tell("end", { end: "failed", text: err.message ?? String(err) });
    }
    isTraining = false;
    if (waiting.length) await answerAll();
}

// Opens a run: a new one, or one that was kept.
async function open({ config, files: given = [], state, history: before }) {
    if (run) run.free();
    run = handle = undefined;
    files = given;
    for (const file of files) giveFile(file.name, file.bytes);
    const begun = performance.now();
    run = await device.run(config);
    handle = run.handle();
    history = before ?? { steps: [], epochs: [], seconds: 0 };
    if (state) await run.restore(state);
    return { about: JSON.parse(run.about()), ready: performance.now() - begun, pipelines: device.pipelines() };
}

// Each question that the page can ask. Those of `whileTraining` need no run that stands still.
const questions = {
    async start() {
        await init({ module_or_path: new URL("./pkg/downhill_web_bg.wasm", import.meta.url) });
        device = await Device.open();
        return { adapter: device.name(), optimizers: JSON.parse(optimizers()) };
    },
    columns({ name, bytes }) {
        giveFile(name, bytes);
        return JSON.parse(columns(name));
    },
    data({ config, files = [] }) {
        for (const file of files) giveFile(file.name, file.bytes);
        return JSON.parse(data(config));
    },
    open,
    async kept() {
        const found = await kept();
        return found && { config: found.config, history: found.history, about: JSON.parse(found.about), files: found.files };
    },
    async resume() {
        const found = await kept();
        return { ...(await open(found)), history: found.history, config: found.config };
    },
    forget,
    train() {
        if (!isTraining) train();
    },
    async stop() {
        isTraining = false;
        handle?.stop();
    },
    evaluate: async () => JSON.parse((await run.evaluate()) || "null"),
    predict: ({ inputs }) => run.predict(inputs),
    write: ({ prompt, length, temperature, seed }) => run.write(prompt, length, temperature, seed),
    weights: () => run.weights(),
    async openWeights({ name, bytes }) {
        run.openWeights(name, bytes);
        return true;
    },
    config: () => run.config(),
    encoding: () => run.encoding(),
    save,
};
const whileTraining = ["stop", "train", "columns", "data", "kept"];

async function answer({ id, question, value }) {
    try {
        postMessage({ id, value: await questions[question](value ?? {}) });
    } catch (err) {
        postMessage({ id, fault: err.message ?? String(err) });
    }
}

onmessage = ({ data }) => {
    if (isTraining && !whileTraining.includes(data.question)) {
        waiting.push(data);
        handle?.stop();
    } else {
        answer(data);
    }
};
