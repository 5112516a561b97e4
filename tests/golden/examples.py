"""Golden loss curves of the example models: the first 50 steps, in f64.

The configs under `examples/` are read themselves. Three things differ, here and in
`examples.rs`: dropout has p = 0, for its mask is the engine's own; batches go in file order,
and no sample is kept for evaluation; the text is a file that does not change. `vae.rs` is
written out again on both sides, and its noise is data. Weights come from a formula both
sides compute, so that none are stored.
"""

import csv
import math
import tomllib
import zlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from common import write_json
from config_model import chain
from runs import F32_BAR, KINK_BAR, digits, optimizer

STEPS = 50
# What is written over in an example's text; the Rust side does the same.
EDITS = [("{ dropout = 0.5 }", "{ dropout = 0.0 }")]
TEXT = "LICENSE-APACHE"
CONFIGS = ["digits_cnn", "digits_resnet", "autoencoder", "regression", "tabular", "tiny_gpt"]
VAE_HIDDEN = 8
VAE_BATCH = 32
VAE_ADAM = dict(name="adam", lr=3e-3)


def uniform(seed, n):
    """n numbers in [-1, 1) of 24 bits, the i-th from a hash of i + seed (PCG's output function)."""
    x = np.arange(n, dtype=np.uint32) + np.uint32(seed)
    x = x * np.uint32(747796405) + np.uint32(2891336453)
    x = ((x >> ((x >> np.uint32(28)) + np.uint32(4))) ^ x) * np.uint32(277803737)
    x = (x >> np.uint32(22)) ^ x
    return (x >> np.uint32(8)).astype(np.float32) / np.float32(2**23) - np.float32(1)


def formula(name, shape, salt):
    """(seed, scale, offset) of a tensor: bounds of about torch's own initialisation."""
    seed = zlib.crc32(f"{salt} {name}".encode())
    if name.endswith("running_mean") or name.endswith("num_batches_tracked"):
        return seed, 0.0, 0.0
    if name.endswith("running_var"):
        return seed, 0.0, 1.0
    if len(shape) > 1:
        return seed, float(np.float32(1 / math.sqrt(math.prod(shape[1:])))), 0.0
    return seed, float(np.float32(0.1)), 1.0 if name.endswith("weight") else 0.0


def start(net, salt):
    """Fills the net by the formula; the rows that tell the Rust side."""
    rows = []
    state = net.state_dict()
    for name, tensor in state.items():
        seed, scale, offset = formula(name, tuple(tensor.shape), salt)
        values = np.float32(offset) + np.float32(scale) * uniform(seed, tensor.numel())
        tensor.copy_(torch.from_numpy(values.astype(np.float32)).reshape(tensor.shape))
        rows.append(dict(name=name, shape=list(tensor.shape), seed=seed, scale=scale, offset=offset))
    return rows


def table(path, options):
    """The rows of a CSV as the engine encodes them: (inputs, targets)."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {k: [row[k] for row in rows] for k in rows[0]}

    def scaled(raw):
        values = np.array([float(v) for v in raw])
        return (values - values.mean()) / values.std()

    inputs = []
    for name, raw in columns.items():
        if name == options["target"]:
            continue
        if name in options.get("categorical", []):
            inputs += [[float(v == category) for v in raw] for category in sorted(set(raw))]
        else:
            inputs.append(scaled(raw))
    x = torch.from_numpy(np.array(inputs).T.astype(np.float32))
    raw = columns[options["target"]]
    if options.get("standardise_target"):
        return x, torch.from_numpy(scaled(raw).astype(np.float32)).unsqueeze(1)
    return x, torch.tensor([sorted(set(raw)).index(v) for v in raw])


def text(path, context):
    """Windows side by side over a text's characters, and the same one ahead."""
    content = path.read_text()
    vocabulary = sorted(set(content))
    tokens = torch.tensor([vocabulary.index(c) for c in content])
    count = (len(tokens) - 1) // context
    window = lambda at: tokens[at : at + count * context].reshape(count, context)
    return window(0), window(1)


def data(config, examples, images):
    section = config["data"]
    source = section["source"]
    if source == "digits":
        x, labels = images
        return (x, x) if section.get("target") == "inputs" else (x, labels)
    if source == "sources":
        return text(examples.parent / TEXT, section["context"])
    return table(examples / source["csv"], source)


LOSSES = {
    "cross_entropy": lambda y, t: F.cross_entropy(y.flatten(0, -2), t.flatten()),
    "mse": F.mse_loss,
}


class Vae(nn.Module):
    """`examples/vae.rs`; the noise is an input."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleDict(
            dict(
                conv=nn.Conv2d(1, 16, 3, stride=2, padding=1),
                linear=nn.Linear(256, 64),
                mean=nn.Linear(64, VAE_HIDDEN),
                log_variance=nn.Linear(64, VAE_HIDDEN),
            )
        )
        self.decoder = nn.ModuleDict(
            dict(
                linear1=nn.Linear(VAE_HIDDEN, 64),
                linear2=nn.Linear(64, 256),
                conv=nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
            )
        )

    def forward(self, image, noise):
        e, d = self.encoder, self.decoder
        h = F.relu(e["linear"](F.relu(e["conv"](image)).flatten(1)))
        mean, log_variance = e["mean"](h), e["log_variance"](h)
        z = mean + noise * (log_variance * 0.5).exp()
        h = F.relu(d["linear2"](F.relu(d["linear1"](z)))).reshape(-1, 16, 4, 4)
        logits = d["conv"](h)
        reconstruction = F.binary_cross_entropy_with_logits(logits, image) * 64
        kl = ((mean**2 + log_variance.exp() - log_variance - 1).sum(1) * 0.5).mean()
        return reconstruction + kl


class Nearest:
    """How near an input of a relu module comes to its kink."""

    def __init__(self, net):
        self.least = 1.0
        for module in net.modules():
            if isinstance(module, nn.ReLU):
                module.register_forward_pre_hook(self.look)

    def look(self, _, inputs):
        self.least = min(self.least, inputs[0].abs().min().item())


def curve(net, loss_of, fields, batch, settings):
    """The loss of each of the first steps, batches in order."""
    opt = optimizer(settings, net.parameters())
    losses = []
    while len(losses) < STEPS:
        for at in range(0, len(fields[0]), batch):
            loss = loss_of(net, *[field[at : at + batch] for field in fields])
            losses.append(loss.item())
            opt.zero_grad()
            loss.backward()
            opt.step()
            if len(losses) == STEPS:
                break
    return np.array(losses)


def both(make_net, loss_of, fields, batch, settings, salt):
    """(losses in f64, how far f32 leaves them, nearest kink, the weights' rows)"""
    made = {}
    for dtype in [torch.float64, torch.float32]:
        net = make_net()
        rows = start(net, salt)
        net = net.to(dtype)
        nearest = Nearest(net)
        real = [f.to(dtype) if f.is_floating_point() else f for f in fields]
        made[dtype] = (curve(net, loss_of, real, batch, settings), nearest.least, rows)
    losses, kink, rows = made[torch.float64]
    drift = (abs(made[torch.float32][0] - losses) / losses).max()
    return losses, drift, kink, rows


def settled(name, *args):
    """The first salt whose run neither amplifies rounding nor comes too near a kink."""
    for salt in range(20):
        losses, drift, kink, rows = both(*args, f"{name} {salt}")
        print(f"{name:14} {losses[0]:.4f} -> {losses[-1]:.4f}  f32 {drift:.1e}  kink {kink:.1e}")
        if drift < F32_BAR and kink > KINK_BAR:
            return dict(name=name, losses=losses.tolist(), weights=rows)
    raise AssertionError(f"{name}: no start that says anything")


def make(folder, digits_folder):
    examples = folder.parent.parent / "examples"
    images = [part.to(torch.float64) if i == 0 else part for i, part in enumerate(digits(digits_folder)[0])]
    runs = []
    for name in CONFIGS:
        content = (examples / f"{name}.toml").read_text()
        for old, new in EDITS:
            content = content.replace(old, new)
        config = tomllib.loads(content)
        fields = data(config, examples, images)
        loss = LOSSES[config["model"]["loss"]]
        probe = fields[0][:1]
        probe = probe.float() if probe.is_floating_point() else probe
        net = lambda: chain(config["model"]["layers"], probe)
        loss_of = lambda net, x, t: loss(net(x), t)
        runs.append(settled(name, net, loss_of, fields, config["data"]["batch_size"], config["optimizer"]))
    noise = torch.from_numpy(uniform(zlib.crc32(b"noise"), len(images[0]) * VAE_HIDDEN)) * 1.5
    fields = [images[0], noise.reshape(-1, VAE_HIDDEN).double()]
    runs.append(settled("vae", Vae, lambda net, *x: net(*x), fields, VAE_BATCH, VAE_ADAM))
    more = dict(steps=STEPS, text=TEXT, noise_seed=zlib.crc32(b"noise"))
    write_json(folder / "examples.json", "runs", runs, **more)
    print(f"examples: {len(runs)} runs of {STEPS} steps")
