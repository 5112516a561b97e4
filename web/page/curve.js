// A curve of numbers by step, as SVG: two series at most, a scale that is logarithmic where asked.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 480, HEIGHT = 260, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 24;
/** Points of a line at most: more than a screen has places for say nothing. */
const MOST = 600;

function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
}

/** Round numbers from `low` to `high`, about `count` of them. */
function ticks(low, high, count) {
    const rough = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
    const all = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step / 1e6; tick += step) all.push(tick);
    return all;
}

const short = (number) => (Math.abs(number) >= 1e4 ? number.toExponential(0) : String(Number(number.toPrecision(3))));

/** At most `MOST` of the points: the mean of each stretch. */
function thinned(points) {
    if (points.length <= MOST) return points;
    const size = points.length / MOST;
    return Array.from({ length: MOST }, (_, i) => {
        const part = points.slice(Math.floor(i * size), Math.max(Math.floor((i + 1) * size), Math.floor(i * size) + 1));
        return [part.at(-1)[0], part.reduce((sum, point) => sum + point[1], 0) / part.length];
    });
}

/** A running mean, so that the noise of batches does not hide the way. */
function smooth(points) {
    let mean = points[0]?.[1], weight = 0;
    return points.map(([x, y]) => {
        weight = Math.min(weight + 1, 20);
        mean += (y - mean) / weight;
        return [x, mean];
    });
}

/** Draws series `[{ points: [[x, y]], kind: "s0", smoothed }]` into `svg`. */
export function draw(svg, series, { log = false, range } = {}) {
    const drawn = series.flatMap(({ points, kind, smoothed }) => {
        const thin = thinned(points.filter((point) => Number.isFinite(point[1])));
        return smoothed ? [{ points: thin, kind: `${kind} faint` }, { points: smooth(thin), kind }] : [{ points: thin, kind }];
    });
    const all = drawn.flatMap(({ points }) => points);
    svg.replaceChildren();
    if (!all.length) return;
    const last = Math.max(...all.map((point) => point[0]), 1);
    const values = all.map((point) => point[1]);
    let [low, high] = range ?? [Math.min(...values), Math.max(...values)];
    if (log) [low, high] = [Math.log10(Math.max(low, 1e-12)), Math.log10(Math.max(high, 1e-12))];
    if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
    const x = (step) => LEFT + (step / last) * (WIDTH - LEFT - RIGHT);
    const place = (scaled) => TOP + (1 - (scaled - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    const y = (value) => place(log ? Math.log10(Math.max(value, 1e-12)) : value);
    for (const tick of ticks(low, high, 5)) {
        svg.append(element("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: place(tick), y2: place(tick) }));
        const text = short(log ? 10 ** tick : tick);
        svg.append(element("text", { x: LEFT - 6, y: place(tick) + 4, "text-anchor": "end" }, text));
    }
    for (const tick of ticks(0, last, 5)) {
        const attributes = { x: x(tick), y: HEIGHT - 6, "text-anchor": tick > 0.95 * last ? "end" : "middle" };
        svg.append(element("text", attributes, short(tick)));
    }
    for (const { points, kind } of drawn) {
        const path = points.map((point, i) => `${i ? "L" : "M"}${x(point[0]).toFixed(1)} ${y(point[1]).toFixed(1)}`).join("");
        svg.append(element("path", { class: `line ${kind}`, d: path }));
        if (points.length === 1) {
            svg.append(element("circle", { class: kind, cx: x(points[0][0]), cy: y(points[0][1]), r: 3, fill: "currentColor" }));
        }
    }
}
