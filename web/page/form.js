// The form, and the config that it stands for: the same TOML as the command line's.

const byId = (id) => document.getElementById(id);

/** What each source begins with. */
export const STARTS = {
    digits: {
        layers: '["flatten", { linear = 128 }, "relu", { linear = 64 }, "relu", { linear = 10 }]',
        losses: ["cross_entropy"],
        batch: 32,
        epochs: 30,
        optimizer: "adamw",
        numbers: { lr: 3e-3 },
    },
    csv: {
        layers: '[{ linear = 32 }, "relu", { linear = OUTPUTS }]',
        losses: ["cross_entropy", "mse", "smooth_l1"],
        batch: 32,
        epochs: 50,
        optimizer: "adamw",
        numbers: { lr: 3e-3 },
    },
    text: {
        layers: `[
    { embedding = { num_embeddings = CHARACTERS, embedding_dim = 64 } },
    { positional_embedding = 32 },
    { repeat = { times = 2, layers = [
        { residual = ["layer_norm", { multi_head_attention = { num_heads = 4, causal = true } }] },
        { residual = ["layer_norm", { linear = 256 }, "gelu", { linear = 64 }] },
    ] } },
    "layer_norm", { linear = CHARACTERS },
]`,
        losses: ["cross_entropy"],
        batch: 16,
        epochs: 3,
        optimizer: "adamw",
        numbers: { lr: 2e-3 },
    },
};
/** Characters of a sample of text. */
const CONTEXT = 32;

/** A value as TOML; TOML's arrays are JSON's, and its floats have a point. */
export function toml(value) {
    if (typeof value === "number") {
        if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
        return String(value);
    }
    if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
    return JSON.stringify(value);
}

/** The numbers of the optimizer that differ from its defaults, as lines of its section. */
function optimizerLines(optimizer) {
    const lines = [`name = ${toml(optimizer.name)}`];
    for (const input of byId("numbers").querySelectorAll("input, select")) {
        const [key, before] = [input.name, input.dataset.default];
        const text = input.type === "checkbox" ? String(input.checked) : input.value.trim();
        if (text !== "" && text !== before) lines.push(`${key} = ${input.dataset.text ? toml(text) : text}`);
    }
    return lines;
}

/** The form as a config. `file`: the file that was given. */
export function config(optimizer, file) {
    const source = byId("source").value;
    const name = file ? toml(file.name) : '""';
    const lines = {
        digits: ['source = "digits"'],
        csv: [
            `source = { csv = ${name}, target = ${toml(byId("target").value)}${byId("classes").checked ? ", classes = true" : ""} }`,
        ],
        text: [`source = { text = ${name} }`, `context = ${CONTEXT}`],
    }[source];
    const isClasses = byId("loss").value === "cross_entropy";
    const number = (id) => byId(id).value || "0";
    return [
        `seed = ${number("seed")}`,
        "",
        "[data]",
        ...lines,
        `batch_size = ${number("batch")}`,
        "",
        "[model]",
        `layers = ${byId("layers").value.trim()}`,
        `loss = ${toml(byId("loss").value)}`,
        "",
        "[optimizer]",
        ...optimizerLines(optimizer),
        "",
        "[train]",
        `epochs = ${number("epochs")}`,
        ...(isClasses && source !== "text" ? ["", "[eval]", 'metrics = ["confusion_matrix"]'] : []),
        "",
    ].join("\n");
}

/** Makes an input for each number of an optimizer. `given` are values to begin with. */
export function numbers(optimizer, given = {}) {
    const inputs = Object.entries(optimizer.keys).flatMap(([key, value]) => {
        if (key === "name" || value === null) return [];
        const label = document.createElement("label");
        const input = document.createElement("input");
        input.name = key;
        if (typeof value === "boolean") {
            input.type = "checkbox";
            input.checked = value;
            input.dataset.default = String(value);
        } else {
            input.dataset.default = typeof value === "string" ? value : toml(value);
            input.value = key in given ? toml(given[key]) : input.dataset.default;
            input.size = Math.max(6, input.value.length);
            if (typeof value === "string") input.dataset.text = "yes";
        }
        label.append(`${key} `, input);
        return [label];
    });
    byId("numbers").replaceChildren(...inputs);
    byId("equation").textContent = optimizer.equation ?? "";
}
