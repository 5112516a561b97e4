// Chromium without a window, driven over its pipe by the DevTools protocol; and a server of static files for it.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, extname, join, normalize } from "node:path";

const TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
    ".wasm": "application/wasm", ".txt": "text/plain; charset=utf-8",
};
// WebGPU on SwiftShader, so that every machine computes the same.
const FLAGS = [
    "--headless=new", "--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
    "--disable-background-networking", "--no-first-run", "--disable-gpu-watchdog", "--remote-debugging-pipe",
];

/** The browser: `DOWNHILL_CHROMIUM`, or one on the PATH. */
export function browserPath() {
    const places = process.env.PATH.split(delimiter);
    const names = ["chromium", "chromium-browser", "google-chrome"];
    const all = names.flatMap((name) => places.map((place) => join(place, name)));
    const found = [process.env.DOWNHILL_CHROMIUM, ...all].find((path) => path && existsSync(path));
    if (!found) throw new Error("no browser: set DOWNHILL_CHROMIUM, or run scripts/setup-chromium.sh");
    return found;
}

/** Serves the folders, the first that has a file. */
export function serve(folders) {
    const server = createServer((request, response) => {
        const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
        const file = folders.map((folder) => join(folder, path.endsWith("/") ? `${path}index.html` : path)).find(existsSync);
        response.statusCode = file ? 200 : 404;
        response.setHeader("content-type", TYPES[extname(file ?? "")] ?? "application/octet-stream");
        response.end(file ? readFileSync(file) : "");
    });
    return new Promise((done) => server.listen(0, "127.0.0.1", () => done({
        url: `http://localhost:${server.address().port}`,
        close: () => server.close(),
    })));
}

/** A browser with one page. `errors` are the errors of its consoles, the workers' too. */
export class Browser {
    #next = 1;
    #open = new Map();
    #text = "";
    errors = [];

    static async start() {
        const browser = new Browser();
        browser.profile = mkdtempSync(join(tmpdir(), "downhill-web-"));
        const flags = [...FLAGS, `--user-data-dir=${browser.profile}`];
        browser.child = spawn(browserPath(), flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
        browser.child.stdio[4].on("data", (data) => browser.#hear(data.toString()));
        browser.version = (await browser.#ask("Browser.getVersion")).product;
        const { targetId } = await browser.#ask("Target.createTarget", { url: "about:blank" });
        browser.session = (await browser.#ask("Target.attachToTarget", { targetId, flatten: true })).sessionId;
        await browser.#attach(browser.session);
        await browser.call("Page.enable");
        return browser;
    }

    async #attach(session) {
        await this.#ask("Runtime.enable", {}, session);
        await this.#ask("Log.enable", {}, session).catch(() => {});
        const auto = { autoAttach: true, waitForDebuggerOnStart: false, flatten: true };
        await this.#ask("Target.setAutoAttach", auto, session);
    }

    #hear(text) {
        const parts = (this.#text + text).split("\0");
        this.#text = parts.pop();
        for (const part of parts) {
            const { id, result, error, method, params } = JSON.parse(part);
            if (id) {
                const { done, failed } = this.#open.get(id);
                this.#open.delete(id);
                if (error) failed(new Error(error.message));
                else done(result);
            } else if (method === "Target.attachedToTarget") {
                this.#attach(params.sessionId).catch(() => {});
            } else if (method === "Runtime.exceptionThrown") {
                this.errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
            } else if (method === "Runtime.consoleAPICalled" && ["error", "warning"].includes(params.type)) {
                this.errors.push(params.args.map((one) => one.value ?? one.description).join(" "));
            } else if (method === "Log.entryAdded" && params.entry.level === "error") {
                this.errors.push(`${params.entry.text} ${params.entry.url ?? ""}`);
            }
        }
    }

    #ask(method, params = {}, sessionId) {
        const id = this.#next++;
        this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
        return new Promise((done, failed) => this.#open.set(id, { done, failed }));
    }

    /** Calls a method of the protocol on the page. */
    call(method, params) {
        return this.#ask(method, params, this.session);
    }

    /** The value of an expression in the page; a promise is awaited. */
    async value(expression) {
        const asked = { expression: `(async () => (${expression}))()`, awaitPromise: true, returnByValue: true };
        const { result, exceptionDetails } = await this.call("Runtime.evaluate", asked);
        if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
        return result.value;
    }

    /** Waits until an expression in the page is true. */
    async until(expression, seconds = 120) {
        const end = Date.now() + 1000 * seconds;
        while (!(await this.value(expression).catch(() => false))) {
            if (Date.now() > end) throw new Error(`after ${seconds} s this is still false: ${expression}`);
            await new Promise((done) => setTimeout(done, 50));
        }
    }

    async go(url) {
        await this.call("Page.navigate", { url });
        await this.until("document.readyState === 'complete'");
    }

    /** Gives a file to an input. */
    async choose(selector, path) {
        const { result } = await this.call("Runtime.evaluate", { expression: `document.querySelector(${JSON.stringify(selector)})` });
        await this.call("DOM.setFileInputFiles", { files: [path], objectId: result.objectId });
    }

    async picture(path, { width, height = 900, dark = false }) {
        const { writeFileSync } = await import("node:fs");
        const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
        await this.call("Emulation.setDeviceMetricsOverride", metrics);
        const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
        await this.call("Emulation.setEmulatedMedia", { features });
        if (!path) return;
        const { data } = await this.call("Page.captureScreenshot", { captureBeyondViewport: true });
        writeFileSync(path, Buffer.from(data, "base64"));
    }

    async close() {
        const ended = new Promise((done) => this.child.once("exit", done));
        await Promise.race([this.#ask("Browser.close").catch(() => {}), ended]);
        await ended;
        rmSync(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
}
