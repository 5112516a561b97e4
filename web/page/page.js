// The page: the form, the run, and what is drawn of it.

import { draw } from "./curve.js";
import { field } from "./digit.js";
import { ask, on } from "./engine.js";
import { STARTS, config, numbers } from "./form.js";

const byId = (id) => document.getElementById(id);
const state = { optimizers: [], file: null, about: null, steps: [], epochs: [], isTraining: false, isDrawn: false };

const number = (value, digits = 4) => (Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : "–");
const grouped = (value) => Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");

/** Shows an error in the engine's words, or takes it away. */
function message(text) {
    byId("message").textContent = text ?? "";
    byId("message").hidden = !text;
    byId("layers").setAttribute("aria-invalid", String(/layer|model/.test(text ?? "")));
}

/** Runs what a click asks for; an error is shown. */
const guarded = (work) => async (...given) => {
    message();
    try {
        await work(...given);
    } catch (err) {
        message(err.message);
        say("");
    }
};

const say = (text) => (byId("state").textContent = text);

function buttons() {
    const { isTraining, about } = state;
    const isReady = state.optimizers.length > 0;
    byId("train").disabled = !isReady || isTraining || state.isFitting;
    byId("stop").disabled = !isTraining;
    byId("continue").disabled = isTraining || !about || state.isOver;
}

// ---- the form

const optimizer = () => state.optimizers.find((one) => one.name === byId("optimizer").value);

function fillSource() {
    const source = byId("source").value;
    const start = STARTS[source];
    byId("layers").value = start.layers;
    byId("layers").rows = start.layers.split("\n").length + 1;
    byId("batch").value = start.batch;
    byId("epochs").value = start.epochs;
    byId("loss").replaceChildren(...start.losses.map((name) => new Option(name, name)));
    byId("optimizer").value = start.optimizer;
    numbers(optimizer(), start.numbers);
    byId("drop").hidden = source === "digits";
    byId("table").hidden = source !== "csv" || !state.file?.columns;
    byId("file").accept = source === "csv" ? ".csv,.tsv,.txt" : ".txt,.md";
    if (source === "text" && state.file?.kind !== "text") guarded(useGuide)();
}

/** Takes a text that comes with the page, so that there is one to begin with. */
async function useGuide() {
    const answer = await fetch("guide.txt");
    if (answer.ok) await take("guide.txt", new Uint8Array(await answer.arrayBuffer()), "text");
}

/** Takes a file that was dropped or chosen. */
async function take(name, bytes, kind) {
    const columns = kind === "csv" ? await ask("columns", { name, bytes }) : null;
    state.file = { name, bytes, kind, columns };
    byId("dropped").textContent = `${name}, ${grouped(bytes.length)} bytes. Another one:`;
    if (kind === "csv") {
        const names = columns.columns.map((column) => column.name);
        byId("target").replaceChildren(...names.map((column) => new Option(column, column)));
        byId("target").value = names.at(-1);
        byId("table").hidden = false;
        await fitTarget();
    } else {
        await fitOutputs();
    }
}

/** The files of the run. */
const files = () =>
    state.file?.bytes && byId("source").value !== "digits" ? [{ name: state.file.name, bytes: state.file.bytes }] : [];

/** Has the last layer have an output for each class. */
async function fitOutputs() {
    const start = STARTS[byId("source").value].layers;
    const layers = (outputs) => start.replaceAll(/OUTPUTS|CHARACTERS/g, outputs);
    state.isFitting = true;
    buttons();
    try {
        byId("layers").value = layers(1);
        const { classes } = await ask("data", { config: config(optimizer(), state.file), files: files() });
        byId("layers").value = layers(classes ?? 1);
    } finally {
        state.isFitting = false;
        buttons();
    }
}

/** Has loss and last layer fit the target. */
async function fitTarget() {
    const { columns, rows } = state.file.columns;
    const target = columns.find((column) => column.name === byId("target").value);
    if (target.words) byId("classes").checked = true;
    byId("loss").value = byId("classes").checked ? "cross_entropy" : "mse";
    const kinds = columns.map((column) => `${column.name} (${column.numbers ? "numbers" : "words"})`);
    byId("columns").textContent = `${grouped(rows)} rows: ${kinds.join(", ")}`;
    await fitOutputs();
}

// ---- the run

const classes = () => state.about?.class_names ?? [];

function paint() {
    state.isDrawn = false;
    const { steps, epochs } = state;
    const last = epochs.at(-1);
    byId("step").textContent = grouped(steps.at(-1)?.[0] ?? state.about?.step ?? 0);
    byId("trainloss").textContent = number(last?.train_loss ?? steps.at(-1)?.[1]);
    byId("evalloss").textContent = number(last?.eval_loss);
    const hasAccuracy = Number.isFinite(last?.eval_accuracy);
    byId("accuracy").textContent = hasAccuracy ? `${(100 * last.eval_accuracy).toFixed(1)}\u202f%` : "–";
    byId("accuracytile").hidden = byId("accuracyfigure").hidden = !!last && !hasAccuracy;
    byId("speed").textContent = last ? grouped(last.samples_per_second) : "–";
    const losses = [{ points: steps.map((step) => [step[0], step[1]]), kind: "s0", smoothed: true }];
    losses.push({ points: epochs.map((epoch) => [epoch.step, epoch.eval_loss]), kind: "s1" });
    draw(byId("losscurve"), losses, { log: true });
    const rights = epochs.map((epoch) => [epoch.step, epoch.eval_accuracy]);
    draw(byId("accuracycurve"), [{ points: rights, kind: "s1" }], { range: [0, 1] });
    paintConfusion(last?.eval_confusion);
}

/** Paints at most once a frame. */
function repaint() {
    if (!state.isDrawn) requestAnimationFrame(paint);
    state.isDrawn = true;
}

function paintConfusion(counts) {
    byId("confusionfigure").hidden = !counts || counts.length > 30;
    if (byId("confusionfigure").hidden) return;
    const cell = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
    const row = (cells) => {
        const made = document.createElement("tr");
        made.append(...cells);
        return made;
    };
    const head = row([cell("th", ""), ...classes().map((name) => Object.assign(cell("th", name), { scope: "col" }))]);
    const rows = counts.map((line, i) => {
        const sum = line.reduce((a, b) => a + b, 0) || 1;
        const cells = line.map((count) => {
            const made = cell("td", count || "");
            made.style.background = `rgb(var(--heat) / ${(0.75 * count) / sum})`;
            return made;
        });
        return row([Object.assign(cell("th", classes()[i]), { scope: "row" }), ...cells]);
    });
    byId("confusion").replaceChildren(head, ...rows);
}

function show(opened) {
    state.about = opened.about;
    state.isOver = opened.about.step >= opened.about.total_steps;
    byId("run").hidden = false;
    byId("parameters").textContent = grouped(opened.about.parameters);
    const isDigit = opened.about.shape.join() === "1,8,8";
    byId("drawfigure").hidden = !isDigit;
    byId("textfigure").hidden = opened.about.characters === null;
    paint();
    bars();
}

async function start() {
    say("planning, compiling");
    state.steps = [];
    state.epochs = [];
    byId("offer").hidden = true;
    const opened = await ask("open", { config: config(optimizer(), state.file), files: files() });
    show(opened);
    await go();
}

async function go() {
    state.isTraining = true;
    say("training");
    buttons();
    await ask("train");
}

on("steps", (numbers) => {
    for (let i = 0; i < numbers.length; i += 3) state.steps.push([numbers[i], numbers[i + 1], numbers[i + 2]]);
    repaint();
});
on("epoch", (epoch) => {
    state.epochs.push(epoch);
    repaint();
});
on("end", ({ end, text, seconds }) => {
    state.isTraining = false;
    state.isOver = end === "finished" || end === "early stopped";
    say(end === "failed" ? "" : `${end} after ${number(seconds, 3)} s`);
    if (end === "failed") message(text);
    buttons();
    repaint();
    bars();
});

// ---- what it reads

let reading = false;
async function bars() {
    if (byId("drawfigure").hidden || reading) return;
    const inputs = digit.pixels();
    reading = true;
    let answer;
    try {
        answer = inputs && [...(await ask("predict", { inputs }))];
    } catch (err) {
        message(err.message);
    }
    reading = false;
    const best = answer ? answer.indexOf(Math.max(...answer)) : -1;
    byId("read").textContent = answer ? `It reads ${classes()[best]}.` : "";
    const cells = classes().flatMap((name, i) => {
        const [label, bar, share] = ["span", "i", "span"].map((tag) => document.createElement(tag));
        label.textContent = name;
        label.className = share.className = i === best ? "best" : "";
        bar.style.width = `${100 * (answer?.[i] ?? 0)}%`;
        share.textContent = answer ? `${(100 * answer[i]).toFixed(1)}\u202f%` : "";
        return [label, bar, share];
    });
    byId("bars").replaceChildren(...cells);
}
const digit = field(byId("draw"), () => bars());
byId("clear").onclick = () => digit.clear();

// ---- files

function download(name, bytes, type) {
    const link = Object.assign(document.createElement("a"), { download: name });
    link.href = URL.createObjectURL(new Blob([bytes], { type }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1e4);
    byId("saved").textContent = `${name} is saved.`;
}
byId("save").onclick = guarded(async () => download("model.safetensors", await ask("weights"), "application/octet-stream"));
byId("saveconfig").onclick = guarded(async () => {
    download("config.toml", await ask("config"), "application/toml");
    const encoding = await ask("encoding");
    if (encoding) download("data.json", encoding, "application/json");
});
byId("open").onchange = guarded(async ({ target }) => {
    const [file] = target.files;
    if (!file) return;
    target.value = "";
    await ask("openWeights", { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) });
    const found = await ask("evaluate");
    const words = found ? `: evaluation loss ${number(found.eval_loss)}${found.eval_accuracy === null ? "" : `, accuracy ${(100 * found.eval_accuracy).toFixed(1)} %`}` : "";
    byId("saved").textContent = `${file.name} is open${words}.`;
    bars();
});
byId("write").onclick = guarded(async () => {
    const [prompt, temperature] = [byId("prompt").value, Number(byId("temperature").value)];
    const seed = Math.floor(Math.random() * 2 ** 31);
    byId("written").textContent = prompt + (await ask("write", { prompt, length: 200, temperature, seed }));
});

const chosen = guarded(async (file) => {
    if (file) await take(file.name, new Uint8Array(await file.arrayBuffer()), byId("source").value);
});
byId("file").onchange = ({ target }) => chosen(target.files[0]);
// A file that is dropped anywhere is taken; its ending says what it is.
document.ondragover = (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
};
document.ondragleave = () => byId("drop").classList.remove("over");
document.ondrop = (event) => {
    event.preventDefault();
    byId("drop").classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (!file) return;
    const kind = /\.(csv|tsv)$/i.test(file.name) ? "csv" : "text";
    if (byId("source").value !== kind) {
        state.file = { kind };
        byId("source").value = kind;
        fillSource();
    }
    chosen(file);
};

// ---- the beginning

byId("source").onchange = fillSource;
byId("optimizer").onchange = () => numbers(optimizer());
byId("target").onchange = guarded(() => {
    byId("classes").checked = false;
    return fitTarget();
});
byId("classes").onchange = guarded(fitTarget);
byId("setup").onsubmit = (event) => {
    event.preventDefault();
    if (!byId("train").disabled) guarded(start)();
};
byId("layers").onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("setup").requestSubmit();
};
byId("stop").onclick = () => ask("stop");
byId("continue").onclick = guarded(go);
byId("forget").onclick = guarded(async () => {
    await ask("forget");
    byId("offer").hidden = true;
});
byId("resume").onclick = guarded(async () => {
    say("compiling");
    const opened = await ask("resume");
    byId("offer").hidden = true;
    state.steps = opened.history.steps;
    state.epochs = opened.history.epochs;
    show(opened);
    if (state.isOver) say("finished before");
    else await go();
    buttons();
});

guarded(async () => {
    const { adapter, optimizers } = await ask("start");
    state.optimizers = optimizers;
    byId("adapter").textContent = adapter ? `Its adapter: ${adapter}.` : "";
    byId("optimizer").replaceChildren(...optimizers.map((one) => new Option(one.name, one.name)));
    fillSource();
    const before = await ask("kept");
    if (before) {
        const step = before.history.steps.at(-1)?.[0] ?? 0;
        byId("offer").firstElementChild.textContent = `A run of ${before.about.data} was kept at step ${step} of ${before.about.total_steps}.`;
        byId("offer").hidden = false;
    }
    say("");
    buttons();
})();
