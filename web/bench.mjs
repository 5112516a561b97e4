// Measures the page's engine beside jax-js: the same net, batch and optimizer on the same adapter, in the same browser, in
// turns. `make web-bench` runs it, and prints the lines for benches/RESULTS.md.

import { join, resolve } from "node:path";
import { cpus } from "node:os";

import { Browser, serve } from "./chromium.mjs";

const root = resolve(import.meta.dirname, "..");
const site = join(resolve(root, process.env.CARGO_TARGET_DIR ?? "target"), "site");
const modules = process.env.DOWNHILL_NODE_MODULES;
if (!modules) throw new Error("scripts/web-test.sh web/bench.mjs sets DOWNHILL_NODE_MODULES, where jax-js is");

/** Turns of each, and steps of a turn. */
const TURNS = 3, STEPS = 132;

const server = await serve([site, modules]);
const browser = await Browser.start();

// In the page: `window.turn.downhill()` and `window.turn.jax()` make STEPS steps and give seconds and the last loss.
const page = async (STEPS) => {
    const BATCH = 32, SIZES = [64, 128, 64, 10], LR = 3e-3, DECAY = 0.01, BETAS = [0.9, 0.999], EPS = 1e-8;
    const engine = await import("/pkg/downhill_web.js");
    await engine.default({ module_or_path: new URL("/pkg/downhill_web_bg.wasm", location.href) });
    const device = await engine.Device.open();
    // No evaluation, and no short batch: steps alone.
    const run = await device.run(`
        seed = 0
        [data]
        source = "digits"
        batch_size = ${BATCH}
        drop_last = true
        [model]
        layers = ["flatten", { linear = 128 }, "relu", { linear = 64 }, "relu", { linear = 10 }]
        loss = "cross_entropy"
        [optimizer]
        name = "adamw"
        lr = ${LR}
        weight_decay = ${DECAY}
        [train]
        steps = 1000000
    `);
    const downhill = async () => {
        const handle = run.handle();
        const losses = [];
        let begun = performance.now(), first = null;
        // An epoch ends by an evaluation, which is no step: its time is left out.
        let seconds = 0;
        await run.train(1e5, (kind, numbers) => {
            const now = performance.now();
            if (kind === "steps") {
                for (let i = 0; i < numbers.length; i += 3) losses.push(numbers[i + 1]);
                seconds += (now - begun) / 1000;
                if (losses.length >= STEPS) handle.stop();
            }
            begun = now;
        });
        return { seconds, steps: losses.length, loss: losses.at(-1) };
    };

    const jax = await import("/node_modules/@jax-js/jax/dist/index.js");
    const { numpy: np, nn, tree } = jax;
    await jax.init("webgpu");
    jax.defaultDevice("webgpu");
    const names = [1, 2, 3].flatMap((i) => [`w${i}`, `b${i}`]);
    const uniform = (count, bound) => Float32Array.from({ length: count }, () => (2 * Math.random() - 1) * bound);
    const fill = (make) => Object.fromEntries(names.map((name) => {
        const [kind, i] = [name[0], Number(name[1])];
        const shape = kind === "w" ? [SIZES[i - 1], SIZES[i]] : [SIZES[i]];
        const count = shape.reduce((a, b) => a * b);
        return [name, np.array(make(count, 1 / Math.sqrt(SIZES[i - 1]))).reshape(shape)];
    }));
    let parameters = fill(uniform), means = fill((count) => new Float32Array(count)), squares = fill((count) => new Float32Array(count));
    const loss = (p, x, y) => {
        const first = nn.relu(np.matmul(x, p.w1).add(p.b1));
        const second = nn.relu(np.matmul(first, p.w2).add(p.b2));
        const logits = np.matmul(second, p.w3).add(p.b3);
        return nn.logSoftmax(logits).mul(y).sum().mul(-1 / BATCH);
    };
    const step = jax.jit((p, m, v, c1, c2, x, y) => {
        const [value, gradients] = jax.valueAndGrad(loss)(tree.ref(p), x, y);
        const [newP, newM, newV] = [{}, {}, {}];
        for (const name of names) {
            const g = gradients[name];
            newM[name] = m[name].mul(BETAS[0]).add(g.ref.mul(1 - BETAS[0]));
            newV[name] = v[name].mul(BETAS[1]).add(g.ref.mul(g).mul(1 - BETAS[1]));
            const size = np.sqrt(newV[name].ref.mul(c2.ref)).add(EPS);
            newP[name] = p[name].mul(1 - LR * DECAY).sub(newM[name].ref.mul(c1.ref).div(size).mul(LR));
        }
        c1.dispose();
        c2.dispose();
        return [value, newP, newM, newV];
    });
    // The same samples: random ones would train as fast, but their loss would say nothing.
    const images = await (await fetch("/digits.json")).json();
    let done = 0;
    const jaxTurn = async () => {
        const begun = performance.now();
        let value;
        for (let i = 0; i < STEPS; i++) {
            done += 1;
            const [x, y] = [new Float32Array(BATCH * 64), new Float32Array(BATCH * 10)];
            for (let row = 0; row < BATCH; row++) {
                const sample = Math.floor(Math.random() * images.labels.length);
                x.set(images.pixels.slice(sample * 64, sample * 64 + 64), row * 64);
                y[row * 10 + images.labels[sample]] = 1;
            }
            const corrections = BETAS.map((beta) => np.array([1 / (1 - beta ** done)]));
            if (value) value.dispose();
            [value, parameters, means, squares] = step(
                parameters, means, squares, ...corrections, np.array(x).reshape([BATCH, 64]), np.array(y).reshape([BATCH, 10]));
            // At most some tens of steps ahead of the device, as the engine is.
            if (i % 30 === 29) await jax.blockUntilReady(value.ref);
        }
        const last = (await value.data())[0];
        return { seconds: (performance.now() - begun) / 1000, steps: STEPS, loss: last };
    };
    window.turn = { downhill, jax: jaxTurn };
    const info = (await navigator.gpu.requestAdapter()).info;
    return `${info.vendor} ${info.architecture} ${info.description}`.trim();
};

/** The digits as numbers, of the files in data/digits. */
async function digits() {
    const { readFileSync } = await import("node:fs");
    const read = (name) => readFileSync(join(root, "data/digits", name));
    const [images, labels] = [read("train-images-idx3-ubyte").subarray(16), read("train-labels-idx1-ubyte").subarray(8)];
    return JSON.stringify({ pixels: Array.from(images, (pixel) => pixel / 16), labels: Array.from(labels) });
}

try {
    const { writeFileSync } = await import("node:fs");
    writeFileSync(join(modules, "digits.json"), await digits());
    writeFileSync(join(modules, "bench.html"), "<!doctype html><title>bench</title><link rel=icon href=data:,>");
    await browser.go(`${server.url}/bench.html`);
    const adapter = await browser.value(`(${page})(${STEPS})`);
    const rates = { downhill: [], jax: [] };
    for (let turn = -1; turn < TURNS; turn++) {
        for (const name of ["downhill", "jax"]) {
            const { seconds, steps, loss } = await browser.value(`window.turn.${name}()`);
            // The first turn of each compiles.
            if (turn >= 0) rates[name].push(steps / seconds);
            console.log(`turn ${turn + 1}, ${name}: ${(steps / seconds).toFixed(1)} steps a second, loss ${loss.toFixed(4)}`);
        }
    }
    const median = (all) => [...all].sort((a, b) => a - b)[all.length >> 1];
    const [ours, theirs] = [median(rates.downhill), median(rates.jax)];
    console.log(`${browser.version}, ${adapter}, ${cpus()[0].model}, ${cpus().length} processors, ${new Date().toISOString().slice(0, 10)}`);
    console.log(`downhill ${ours.toFixed(1)} steps a second, jax-js 0.1.25 ${theirs.toFixed(1)}: ${(ours / theirs).toFixed(2)} times`);
    process.exitCode = ours >= 3 * theirs ? 0 : 1;
} finally {
    if (browser.errors.length) console.log(browser.errors.join("\n"));
    await browser.close();
    server.close();
}
