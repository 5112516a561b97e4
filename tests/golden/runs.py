"""Golden loss curves of whole runs: 100 steps on the digits, in f64.

Batches of 100 in file order, so an epoch is 14 full steps and a short one of 37. The
loss of a step is the batch mean with the weights before its update. A case whose losses
in torch's own f32 leave the f64 ones by 2e-5 is refused: its learning rate is too high
for the curve to say anything about the engine. So is one where the input of a relu comes
so near 0 that rounding decides on which side it is, which moves the curve by 1e-4.
"""

import tomllib
import zlib

import numpy as np
import torch
import torch.nn.functional as F

import nets
from common import write_json, write_tensors
from config_model import chain

STEPS = 100
BATCH = 100
CLASSES = 10
F32_BAR = 2e-5
# No input of a relu may come nearer to its kink: about one rounding of a sum of order 1.
KINK_BAR = 5e-8
# Where the two best logits of a test image are closer, rounding may choose between them.
MARGIN = 1e-4

ACTIVATIONS = {
    "gelu_tanh": '{ gelu = "tanh" }',
    "leaky_relu": "{ leaky_relu = 0.1 }",
    "elu": "{ elu = 1.0 }",
}


def one_hot(loss):
    return lambda y, t: loss(y, F.one_hot(t, CLASSES).to(y.dtype))


LOSSES = {
    "cross_entropy": ('"cross_entropy"', F.cross_entropy),
    "smooth": (
        "{ cross_entropy = { label_smoothing = 0.1 } }",
        lambda y, t: F.cross_entropy(y, t, label_smoothing=0.1),
    ),
    "mse": ('"mse"', one_hot(F.mse_loss)),
    "l1": ('"l1"', one_hot(F.l1_loss)),
    "huber": ("{ huber = { delta = 0.5 } }", one_hot(lambda y, t: F.huber_loss(y, t, delta=0.5))),
    "bce_with_logits": ('"bce_with_logits"', one_hot(F.binary_cross_entropy_with_logits)),
}


def cases():
    table = []

    def net(name, group, optimizer, layers, loss="cross_entropy"):
        table.append(dict(name=name, group=group, optimizer=optimizer, layers=layers, loss=loss))

    def add(name, group, optimizer, hidden=(24,), act="relu", loss="cross_entropy", bias=True):
        layers = ['"flatten"']
        for i, width in enumerate([*hidden, CLASSES]):
            layers += [ACTIVATIONS.get(act, f'"{act}"')] if i else []
            plain = f"{{ linear = {width} }}"
            bare = f"{{ linear = {{ out_features = {width}, bias = false }} }}"
            layers.append(plain if bias else bare)
        net(name, group, optimizer, ", ".join(layers), loss)

    wide = dict(group="optimizer", hidden=(48,))
    momentum = dict(name="sgd", lr=0.05, momentum=0.9)
    add("sgd", optimizer=dict(name="sgd", lr=0.2), **wide)
    add("sgd_momentum", optimizer={**momentum, "weight_decay": 0.01}, **wide)
    add("sgd_nesterov", optimizer={**momentum, "nesterov": True}, **wide)
    add("sgd_velocity", optimizer={**momentum, "lr": 0.1, "momentum": 0.8, "form": "velocity"}, **wide)
    average = dict(name="sgd", lr=0.4, momentum=0.9, form="average")
    add("sgd_average", optimizer=average, **wide)
    add("rmsprop", optimizer=dict(name="rmsprop", lr=1e-3), **wide)
    centered = dict(name="rmsprop", lr=5e-4, alpha=0.95, eps=1e-6, momentum=0.5, centered=True)
    add("rmsprop_centered", optimizer=centered, **wide)
    corrected = dict(name="rmsprop", lr=3e-3, bias_correction=True)
    add("rmsprop_corrected", optimizer=corrected, **wide)
    add("adam", optimizer=dict(name="adam", lr=4e-3, weight_decay=0.01), **wide)
    amsgrad = dict(name="adam", lr=4e-3, betas=[0.8, 0.95], amsgrad=True)
    add("adam_amsgrad", optimizer=amsgrad, **wide)
    add("adamw", optimizer=dict(name="adamw", lr=4e-3, weight_decay=0.1), **wide)

    adamw = dict(name="adamw", lr=5e-3)
    for act in ["tanh", "gelu", "silu", "elu"]:
        add(act, "activation", adamw, act=act)
    for act in ["gelu_tanh", "leaky_relu", "softplus"]:
        add(act, "activation", momentum, act=act)
    add("sigmoid", "activation", {**momentum, "lr": 0.3}, act="sigmoid")
    add("mse", "loss", adamw, loss="mse")
    add("l1", "loss", dict(name="adamw", lr=2e-3), loss="l1")
    add("huber", "loss", adamw, loss="huber")
    add("bce_with_logits", "loss", adamw, loss="bce_with_logits")
    add("label_smoothing", "loss", momentum, loss="smooth")
    add("deep", "net", adamw, hidden=(33, 17))
    add("no_bias", "net", adamw, bias=False)

    net("cnn", "image", adamw, nets.CNN)
    net("resnet", "image", {**momentum, "weight_decay": 0.01}, nets.RESNET)
    net("depthwise", "image", adamw, nets.DEPTHWISE)
    net("branches", "image", adamw, nets.BRANCHES, loss="smooth")
    net("decoder", "image", adamw, nets.DECODER, loss="mse")
    net("signal", "image", adamw, nets.SIGNAL)
    net("transformer", "sequence", adamw, nets.TRANSFORMER)
    net("causal", "sequence", adamw, nets.CAUSAL)
    net("gru", "sequence", adamw, nets.GRU)
    net("lstm", "sequence", adamw, nets.LSTM)
    return table


def idx(path):
    """An IDX file of unsigned bytes."""
    raw = path.read_bytes()
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def digits(folder):
    """(images / 16 as [n, 1, 8, 8], labels) of the train and the test part."""
    parts = []
    for part in ["train", "t10k"]:
        images = idx(folder / f"{part}-images-idx3-ubyte").astype(np.float64) / 16
        labels = idx(folder / f"{part}-labels-idx1-ubyte").astype(np.int64)
        parts.append((torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels)))
    return parts


def network(case):
    """torch's default initialisation in f32, from a seed of the case's own."""
    torch.manual_seed(zlib.crc32(case["name"].encode()))
    return chain(tomllib.loads(toml(case))["model"]["layers"], torch.zeros(1, 1, 8, 8))


class Average(torch.optim.Optimizer):
    """`form = "average"`: m = mu m + (1 - mu) g from 0, w -= lr m. torch has no such form."""

    def __init__(self, params, lr, momentum):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.mul_(group["momentum"]).add_(p.grad, alpha=1 - group["momentum"])
                p.sub_(m, alpha=group["lr"])


class Velocity(torch.optim.Optimizer):
    """`form = "velocity"`: v = mu v - lr g, w += v."""

    def __init__(self, params, lr, momentum):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                v = self.state[p].setdefault("v", torch.zeros_like(p))
                v.mul_(group["momentum"]).sub_(p.grad, alpha=group["lr"])
                p.add_(v)


class CorrectedRmsProp(torch.optim.Optimizer):
    """`bias_correction = true`: w -= lr g / (sqrt(s / (1 - alpha^t)) + eps)."""

    def __init__(self, params, lr, alpha=0.99, eps=1e-8):
        super().__init__(params, dict(lr=lr, alpha=alpha, eps=eps))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                s = state.setdefault("s", torch.zeros_like(p))
                t = state["t"] = state.get("t", 0) + 1
                s.mul_(group["alpha"]).addcmul_(p.grad, p.grad, value=1 - group["alpha"])
                d = (s / (1 - group["alpha"] ** t)).sqrt_().add_(group["eps"])
                p.addcdiv_(p.grad, d, value=-group["lr"])


def optimizer(config, params):
    config = dict(config)
    name, form = config.pop("name"), config.pop("form", None)
    if form:
        return {"average": Average, "velocity": Velocity}[form](params, **config)
    if config.pop("bias_correction", False):
        return CorrectedRmsProp(params, **config)
    fused = {} if name == "rmsprop" else {"fused": False}
    cls = {
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }[name]
    return cls(params, **config, foreach=False, **fused)


def train(case, weights, parts, dtype):
    """Step losses, what the test part gives after each epoch, and how near a relu comes to its kink."""
    (images, labels), (test_images, test_labels) = parts
    images, test_images = images.to(dtype), test_images.to(dtype)
    net = network(case).to(dtype)
    net.load_state_dict(weights)
    nearest = [1.0]
    look = lambda module, inputs: nearest.append(min(nearest.pop(), inputs[0].abs().min().item()))
    for module in net.modules():
        if isinstance(module, (torch.nn.ReLU, torch.nn.LeakyReLU)):
            module.register_forward_pre_hook(look)
    loss_of = LOSSES[case["loss"]][1]
    opt = optimizer(case["optimizer"], net.parameters())
    losses, evals = [], []
    while len(losses) < STEPS:
        for at in range(0, len(images), BATCH):
            loss = loss_of(net(images[at : at + BATCH]), labels[at : at + BATCH])
            losses.append(loss.item())
            opt.zero_grad()
            loss.backward()
            opt.step()
            if len(losses) == STEPS:
                break
        net.eval()
        with torch.no_grad():
            logits = net(test_images)
            best = logits.topk(2, dim=1)
            evals.append(
                dict(
                    step=len(losses),
                    loss=loss_of(logits, test_labels).item(),
                    accuracy=(best.indices[:, 0] == test_labels).double().mean().item(),
                    close=int((best.values[:, 0] - best.values[:, 1] < MARGIN).sum()),
                )
            )
        net.train()
    return np.array(losses), evals, nearest[0]


def toml(case):
    value = lambda v: str(v).lower() if isinstance(v, bool) else repr(v).replace("'", '"')
    options = "\n".join(f"{k} = {value(v)}" for k, v in case["optimizer"].items())
    return f"""# Made by make.py; runs.json has the losses it must give.
seed = 0

[data]
source = "digits"
batch_size = {BATCH}
shuffle = false
drop_last = false

[model]
layers = [{case["layers"]}]
loss = {LOSSES[case["loss"]][0]}

[optimizer]
{options}

[train]
epochs = 7
"""


def make(folder, digits_folder):
    parts = digits(digits_folder)
    out = folder / "runs"
    out.mkdir(exist_ok=True)
    rows = []
    for case in cases():
        name = case["name"]
        weights = network(case).state_dict()
        losses, evals, kink = train(case, weights, parts, torch.float64)
        single, *_ = train(case, weights, parts, torch.float32)
        drift = (abs(single - losses) / losses).max()
        print(f"{name:18} {losses[0]:.4f} -> {losses[-1]:.4f}  f32 {drift:.1e}  kink {kink:.1e}  {evals[-1]}")
        assert drift < F32_BAR, f"{name}: f32 leaves f64 by {drift:.1e}; lower its lr"
        assert kink > KINK_BAR, f"{name}: a relu {kink:.1e} from its kink; give it another name, its seed"
        (out / f"{name}.toml").write_text(toml(case))
        arrays = {k: v.numpy() for k, v in weights.items()}
        write_tensors(out / f"{name}.safetensors", arrays)
        rows.append(
            dict(
                name=name,
                group=case["group"],
                lr=case["optimizer"]["lr"],
                losses=losses.tolist(),
                evals=evals,
            )
        )
    write_json(out / "runs.json", "runs", rows, steps=STEPS, batch=BATCH, train=1437, test=360)
    print(f"runs: {len(rows)} cases of {STEPS} steps")
