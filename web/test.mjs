// Trains in the page as a user does, in headless Chromium on SwiftShader, and compares with the program on the same adapter.
// `make web-test` runs it. Every figure is printed; a bar that is missed fails. Names of parts run these alone: `digits`,
// `config`, `table`, `text`.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

import { Browser, browserPath, serve } from "./chromium.mjs";

const root = resolve(import.meta.dirname, "..");
const target = resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
const site = join(target, "site");
const downhill = process.env.DOWNHILL ?? join(target, "quick/downhill");
const pictures = process.env.DOWNHILL_PICTURES;
const folder = mkdtempSync(join(tmpdir(), "downhill-web-test-"));

/** Bars of issue and page. */
const MOST_GZIPPED = 1.5e6, MOST_DIFFERENCE = 1e-5, COMPARED = 50, LEAST_ACCURACY = 0.95, MOST_SECONDS = 3;

let missed = 0;
function bar(name, figure, isMet) {
    console.log(`${isMet ? "ok  " : "MISS"} ${name}: ${figure}`);
    if (!isMet) missed += 1;
}

/** The program on the browser's own SwiftShader. */
function environment() {
    const places = [dirname(realpathSync(browserPath())), "/usr/lib/chromium", "/usr/lib/chromium-browser", "/opt/google/chrome"];
    const library = places.map((place) => join(place, "libvk_swiftshader.so")).find(existsSync);
    if (!library) throw new Error(`no libvk_swiftshader.so in ${places.join(", ")}`);
    const manifest = join(folder, "swiftshader.json");
    writeFileSync(manifest, JSON.stringify({ file_format_version: "1.0.0", ICD: { library_path: library, api_version: "1.0.5" } }));
    return { ...process.env, VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest };
}
const env = environment();
const program = (...given) => execFileSync(downhill, given, { env, cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const records = (path) => readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line));

const server = await serve([site]);
const browser = await Browser.start();
const page = {
    set: (id, value) => browser.value(`(() => {
        const input = document.getElementById(${JSON.stringify(id)});
        input.value = ${JSON.stringify(String(value))};
        input.dispatchEvent(new Event("change", { bubbles: true }));
    })()`),
    click: (id) => browser.value(`document.getElementById(${JSON.stringify(id)}).click()`),
    text: (id) => browser.value(`document.getElementById(${JSON.stringify(id)}).textContent`),
    ask: (question, value = {}) =>
        browser.value(`(await import("/engine.js")).ask(${JSON.stringify(question)}, ${JSON.stringify(value)})`),
    isReady: () => browser.until("!document.getElementById('train').disabled"),
    hasEnded: (seconds) => browser.until("document.getElementById('stop').disabled && document.getElementById('state').textContent.includes('after')", seconds),
    // Bytes that the worker answers with, as a file.
    async save(question, path) {
        const text = await browser.value(`(async () => {
            const bytes = await (await import("/engine.js")).ask(${JSON.stringify(question)});
            return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
        })()`);
        writeFileSync(path, Buffer.from(text, "base64"));
    },
};
const isClose = (a, b, within) => Math.abs(a - b) <= within;

async function size() {
    const engine = readFileSync(join(site, "pkg/downhill_web_bg.wasm"));
    const gzipped = gzipSync(engine, { level: 9 }).length;
    bar("the engine, gzipped", `${gzipped} bytes (${engine.length} plain)`, gzipped <= MOST_GZIPPED);
}

async function digits() {
    await browser.go(server.url);
    await page.isReady();
    // The first step's time, from the click on.
    await browser.value(`(() => {
        window.first = null;
        const begun = performance.now();
        document.getElementById("train").addEventListener("click", () => (window.begun = performance.now()), { once: true });
        const look = () => (Number(document.getElementById("step").textContent) > 0
            ? (window.first = performance.now() - window.begun) : requestAnimationFrame(look));
        look();
    })()`);
    await page.set("epochs", 25);
    await page.click("train");
    await browser.until("window.first !== null", 120);
    const first = (await browser.value("window.first")) / 1000;
    await page.hasEnded(600);
    const { history, config } = await page.ask("kept");
    bar("seconds to the first step, compiling included", first.toFixed(2), first <= MOST_SECONDS);
    const last = history.epochs.at(-1);
    bar("accuracy on the digits", last.eval_accuracy.toFixed(4), last.eval_accuracy >= LEAST_ACCURACY);
    const text = await page.text("accuracy");
    bar("accuracy that the page shows", text, text.startsWith((100 * last.eval_accuracy).toFixed(1)));
    const counted = last.eval_confusion.flat().reduce((sum, count) => sum + count, 0);
    const right = last.eval_confusion.reduce((sum, row, i) => sum + row[i], 0);
    bar("confusion matrix", `${right} of ${counted} right`, counted === 360 && isClose(right / counted, last.eval_accuracy, 1e-12));

    writeFileSync(join(folder, "page.toml"), config);
    program("train", "page.toml");
    const steps = records(join(folder, "runs/page-1/metrics.jsonl")).filter((record) => "loss" in record && "step" in record);
    const differences = steps.slice(0, COMPARED).map((step, i) => Math.abs(Math.fround(step.loss) - history.steps[i][1]));
    const largest = Math.max(...differences);
    bar(`losses of ${COMPARED} steps beside the program's, largest difference`, largest.toExponential(2),
        differences.length === COMPARED && largest <= MOST_DIFFERENCE);
    const equal = steps.filter((step, i) => Math.fround(step.loss) === history.steps[i]?.[1]).length;
    console.log(`     steps whose losses have equal bits: ${equal} of ${steps.length}`);
    const rate = history.steps.length / history.seconds;
    console.log(`     ${history.steps.length} steps in ${history.seconds.toFixed(1)} s, ${rate.toFixed(0)} a second, evaluations included`);
    return { history, config };
}

async function files(history, config) {
    const accuracy = history.epochs.at(-1).eval_accuracy;
    const run = join(folder, "saved");
    mkdirSync(run);
    await page.save("weights", join(run, "model.safetensors"));
    writeFileSync(join(run, "config.toml"), config);
    const found = JSON.parse(program("eval", run, "--json"));
    bar("downhill eval of the page's weights", found.accuracy, isClose(found.accuracy, accuracy, 1e-9));
    const again = await page.ask("evaluate");
    const weights = join(folder, "runs/page-1/model.safetensors");
    await browser.choose("#open", weights);
    await browser.until("document.getElementById('saved').textContent.includes('is open')");
    const opened = await page.ask("evaluate");
    const native = JSON.parse(program("eval", "runs/page-1", "--json"));
    bar("the program's weights in the page", `loss ${opened.eval_loss}, natively ${native.loss}`,
        isClose(opened.eval_loss, native.loss, 1e-6) && opened.eval_accuracy === native.accuracy);
    bar("the page's own weights before", `loss ${again.eval_loss}, natively ${found.loss}`, isClose(again.eval_loss, found.loss, 1e-6));
}

async function drawing() {
    const box = await browser.value(`(() => {
        const canvas = document.getElementById("draw");
        canvas.scrollIntoView({ block: "center" });
        const { left, top, width, height } = canvas.getBoundingClientRect();
        return { left, top, width, height };
    })()`);
    // A nought: an ellipse.
    const at = (turn) => ({
        x: box.left + box.width * (0.5 + 0.2 * Math.sin(turn)),
        y: box.top + box.height * (0.5 - 0.34 * Math.cos(turn)),
        button: "left", buttons: 1, clickCount: 1,
    });
    await browser.call("Input.dispatchMouseEvent", { type: "mousePressed", ...at(0) });
    for (let i = 1; i <= 40; i++) await browser.call("Input.dispatchMouseEvent", { type: "mouseMoved", ...at((i / 40) * 2 * Math.PI) });
    await browser.call("Input.dispatchMouseEvent", { type: "mouseReleased", ...at(0) });
    await browser.until("document.getElementById('read').textContent.startsWith('It reads')", 60);
    const read = await page.text("read");
    bar("a nought that is drawn", read, read === "It reads 0.");
    if (pictures) await browser.picture(join(pictures, "digits.png"), { width: 1280, height: 1700 });
}

async function resuming(history) {
    await browser.go(server.url);
    await page.isReady();
    await page.set("epochs", 25);
    await page.click("train");
    await browser.until("Number(document.getElementById('step').textContent.replace(/\\D/g, '')) > 100", 300);
    await page.click("stop");
    await page.hasEnded(60);
    const stopped = (await page.ask("kept")).history.steps.length;
    await browser.go(`${server.url}/?again`);
    await page.isReady();
    await browser.until("!document.getElementById('offer').hidden");
    await page.click("resume");
    await browser.until("!document.getElementById('stop').disabled", 120);
    await page.hasEnded(600);
    const resumed = (await page.ask("kept")).history.steps;
    const equal = resumed.filter((step, i) => step[1] === history.steps[i][1]).length;
    bar(`stopped at step ${stopped}, resumed after a reload: losses with equal bits`, `${equal} of ${history.steps.length}`,
        equal === history.steps.length && resumed.length === equal && stopped < equal);
}

async function wrongConfig() {
    await browser.go(`${server.url}/?wrong`);
    await page.isReady();
    await page.set("layers", '["flatten", { liner = 128 }]');
    await page.click("train");
    await browser.until("!document.getElementById('message').hidden");
    const shown = await page.text("message");
    writeFileSync(join(folder, "wrong.toml"), '[data]\nsource = "digits"\n[model]\nlayers = ["flatten", { liner = 128 }]\nloss = "cross_entropy"\n[optimizer]\nname = "adamw"\n');
    const { stderr } = spawnSync(downhill, ["train", "wrong.toml"], { env, cwd: folder, encoding: "utf8" });
    bar("a wrong layer, in the program's words", shown, shown.length > 20 && stderr.includes(shown));
}

async function table() {
    await browser.go(`${server.url}/?table`);
    await page.isReady();
    await page.set("source", "csv");
    const path = join(root, "data/tables/tabular.csv");
    await browser.choose("#file", path);
    await browser.until("!document.getElementById('table').hidden && /linear = 3 }/.test(document.getElementById('layers').value)", 60);
    await page.isReady();
    await page.set("epochs", 3);
    await page.click("train");
    await page.hasEnded(300);
    const { history, config } = await page.ask("kept");
    writeFileSync(join(folder, "table.toml"), config.replace(/root = .*/, `root = ${JSON.stringify(dirname(path))}`));
    program("train", "table.toml");
    const native = records(join(folder, "runs/table-1/metrics.jsonl")).filter((record) => "eval_loss" in record).at(-1);
    const loss = history.epochs.at(-1).eval_loss;
    bar("a table: evaluation loss", `${loss}, natively ${native.eval_loss}`, isClose(loss, native.eval_loss, 1e-5 * Math.max(1, loss)));
}

async function text() {
    await browser.go(`${server.url}/?text`);
    await page.isReady();
    await page.set("source", "text");
    await browser.until("/num_embeddings = \\d\\d/.test(document.getElementById('layers').value)", 60);
    await page.isReady();
    await page.set("epochs", 1);
    await page.click("train");
    await browser.until("Number(document.getElementById('step').textContent.replace(/\\D/g, '')) > 20", 300);
    await page.click("stop");
    await page.hasEnded(120);
    const steps = (await page.ask("kept")).history.steps;
    await page.click("write");
    await browser.until("document.getElementById('written').textContent.length > 200", 300);
    bar("a text: loss of the first and the last step", `${steps[0][1].toFixed(3)}, ${steps.at(-1)[1].toFixed(3)}`, steps.at(-1)[1] < steps[0][1]);
}

async function widths() {
    for (const [name, width, dark] of [["light", 1280, false], ["dark", 1280, true], ["narrow", 400, false], ["narrow and dark", 400, true]]) {
        await browser.picture(pictures && join(pictures, `page-${name.replaceAll(" ", "-")}.png`), { width, dark });
        const wide = await browser.value("document.scrollingElement.scrollWidth");
        bar(`${name}, ${width} pixels: width of what is shown`, wide, wide <= width);
    }
}

try {
    console.log(`     ${browser.version}`);
    const only = process.argv.slice(2);
    const wants = (name) => only.length === 0 || only.includes(name);
    if (wants("digits")) {
        await size();
        const { history, config } = await digits();
        await files(history, config);
        await drawing();
        await widths();
        await resuming(history);
    }
    if (wants("config")) await wrongConfig();
    if (wants("table")) await table();
    if (wants("text")) await text();
    bar("errors in the consoles", browser.errors.length ? browser.errors.join("; ") : "none", browser.errors.length === 0);
} catch (err) {
    console.log(`MISS ${err.stack}\n${browser.errors.join("\n")}`);
    missed += 1;
} finally {
    await browser.close();
    server.close();
    rmSync(folder, { recursive: true, force: true });
}
process.exitCode = missed ? 1 : 0;
