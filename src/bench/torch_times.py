"""PyTorch's times of the work that `downhill bench` measures, for its option --python.

The program starts this script and keeps it until its last table is done. The first line on standard output tells
the device. Then each line on standard input is a job and is answered by a line; all of them are JSON. Times are
seconds of a turn, one number a round: by the wall from the first turn of a sample until all work is done, and by
CUDA's events where there is CUDA. f32 without TF32, the threads that torch chooses, and on CUDA a graph of the turns
where they can be captured.
"""

import inspect
import json
import os
import sys
import time

# What anything else prints goes to standard error.
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
MOST_TURNS = 10_000
FEWEST_ROUNDS = 3
MOST_SETS = 64
BATCHES = 4

# Optimizers by downhill's names. Settings are torch's defaults, but for the decay, as in `downhill bench optim`.
CLASSES = {
    "sgd": ("SGD", {}), "momentum": ("SGD", {"momentum": 0.9}), "rmsprop": ("RMSprop", {}), "adam": ("Adam", {}),
    "adamw": ("AdamW", {}), "nadam": ("NAdam", {}), "radam": ("RAdam", {}), "adamax": ("Adamax", {}),
    "adagrad": ("Adagrad", {}), "adadelta": ("Adadelta", {}), "adafactor": ("Adafactor", {}), "muon": ("Muon", {}),
}  # fmt: skip
DECAY = 0.01


def synchronize():
    if CUDA:
        torch.cuda.synchronize()


def sample(call, count):
    """Seconds of `count` calls, by the wall and by the device."""
    synchronize()
    start = time.perf_counter()
    if CUDA:
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
        events[0].record()
    for _ in range(count):
        call()
    if CUDA:
        events[1].record()
    synchronize()
    wall = time.perf_counter() - start
    return wall, events[0].elapsed_time(events[1]) / 1e3 if CUDA else None


def measure(call, turns, effort):
    """Seconds of a turn, a number a round, where a call is `turns` turns: a warm-up, then samples of equal length."""
    sample(call, 1)
    count = 1
    while True:
        wall, _ = sample(call, count)
        if wall >= effort["least"] or count * turns >= MOST_TURNS:
            break
        enough = int(count * 1.2 * effort["least"] / max(wall, 1e-9)) + 1
        count = min(max(enough, count + 1), 10 * count, max(MOST_TURNS // turns, count + 1))
    rounds = effort["rounds"]
    if effort["most"] is not None:
        rounds = min(max(int(effort["most"] / wall), FEWEST_ROUNDS), rounds)
    times = [sample(call, count) for _ in range(rounds)]
    each = count * turns
    return {"wall": [w / each for w, _ in times], "device": [d / each for _, d in times if d is not None]}


def graphed(steps):
    """A call that replays all steps as a CUDA graph, or None where CUDA is not there or they cannot be captured."""
    if not CUDA:
        return None
    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                for step in steps:
                    step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for step in steps:
                step()
        graph.replay()
        torch.cuda.synchronize()
        return graph.replay
    except RuntimeError as why:
        print(f"not captured as a CUDA graph: {why}", file=sys.stderr)
        torch.cuda.synchronize()
        return None


def timed(steps, way, effort):
    """The times of a turn, where turns go through the steps one after the other."""
    replay = graphed(steps)
    if replay is not None:
        return measure(replay, len(steps), effort) | {"way": f"{way}, graph" if way else "graph"}
    at = 0

    def turn():
        nonlocal at
        steps[at]()
        at = (at + 1) % len(steps)

    return measure(turn, 1, effort) | {"way": way or "eager"}


def optimizer(kind, parameters, settings):
    """An optimizer that has made its first updates, and its way: fused where torch has that."""
    known = inspect.signature(kind).parameters
    more = {"capturable": True} if CUDA and "capturable" in known else {}
    if "fused" in known:
        try:
            made = kind(parameters, **settings, **more, fused=True)
            made.step()
            return made, "fused"
        except (RuntimeError, NotImplementedError) as why:
            print(f"{kind.__name__} is not fused here: {why}", file=sys.stderr)
    made = kind(parameters, **settings, **more)
    made.step()
    return made, "foreach" if CUDA and "foreach" in known else "single-tensor"


def optim(job):
    if job["optimizer"] not in CLASSES:
        return {"unsupported": f"torch.optim has no {job['optimizer']}"}
    name, settings = CLASSES[job["optimizer"]]
    kind = getattr(torch.optim, name, None)
    if kind is None:
        return {"unsupported": f"torch {torch.__version__} has no torch.optim.{name}"}
    steps = []
    for _ in range(min(job["sets"], MOST_SETS)):
        parameters = [(2 * torch.rand(job["shape"], device=DEVICE) - 1).requires_grad_() for _ in range(job["tensors"])]
        for p in parameters:
            p.grad = 2 * torch.rand_like(p) - 1
        made, way = optimizer(kind, parameters, settings | {"weight_decay": DECAY})
        steps.append(made.step)
    return timed(steps, way, job["effort"])


def matmul(job):
    shape = [job["batch"], job["side"], job["side"]] if job["batch"] > 1 else [job["side"], job["side"]]
    out = torch.empty(shape, device=DEVICE)
    steps = []
    for _ in range(min(job["sets"], MOST_SETS)):
        a, b = (2 * torch.rand(shape, device=DEVICE) - 1 for _ in range(2))
        a = a.mT if job["layout"] == "TN" else a
        b = b.mT if job["layout"] == "NT" else b
        steps.append(lambda a=a, b=b: torch.matmul(a, b, out=out))
    return timed(steps, "", job["effort"])


class Attention(nn.Module):
    """nanoGPT's causal self-attention: one projection to q, k and v, with biases."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (part.view(n, t, self.heads, d // self.heads).transpose(1, 2) for part in self.qkv(x).split(d, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(n, t, d))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.ln_2, self.fc, self.proj = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x))))


class Gpt(nn.Module):
    def __init__(self, vocabulary, context, width, heads, layers):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.ln, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        self.register_buffer("at", torch.arange(context), persistent=False)

    def forward(self, x):
        x = self.tokens(x) + self.positions(self.at)
        return self.head(self.ln(self.blocks(x)))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def dense(widths):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers += [nn.ReLU()] * (i > 0) + [nn.Linear(a, b)]
    return nn.Sequential(*layers)


def net_of(name):
    """A built-in net of `downhill bench train` by its name: net, inputs, labels, batch, classes. None for another."""
    words = name.split()
    if len(words) < 3 or words[-2] != "batch":
        return None
    batch = int(words[-1])
    n = BATCHES * batch
    if words[:2] == ["gpt", "4x4x128x64"]:
        x, t = (torch.randint(0, 96, (n, 64), device=DEVICE) for _ in range(2))
        return Gpt(vocabulary=96, context=64, width=128, heads=4, layers=4), x, t, batch, 96
    if words[:2] == ["lenet", "1x28x28"]:
        net, shape, classes = lenet(), [1, 28, 28], 10
    elif words[0].replace("-", "").isdigit():
        widths = [int(width) for width in words[0].split("-")]
        net, shape, classes = dense(widths), widths[:1], widths[-1]
    else:
        return None
    return net, torch.rand(n, *shape, device=DEVICE), torch.randint(0, classes, (n,), device=DEVICE), batch, classes


def train(job):
    """Eager steps with fused AdamW on data that lie on the device, four batches in turn."""
    made = net_of(job["net"])
    if made is None:
        return {"unsupported": f"there is no form of {job['net']} in torch"}
    net, x, t, batch, classes = made
    net.to(DEVICE)
    settings = {"lr": 1e-3, "weight_decay": 0.01, "fused": True, "capturable": CUDA}
    adamw = torch.optim.AdamW(net.parameters(), **settings)

    def step(rows):
        # Gradients that a graph writes stay where they are.
        adamw.zero_grad(set_to_none=not CUDA)
        F.cross_entropy(net(x[rows]).view(-1, classes), t[rows].view(-1)).backward()
        adamw.step()

    steps = [lambda rows=slice(i * batch, (i + 1) * batch): step(rows) for i in range(BATCHES)]
    parameters = sum(p.numel() for p in net.parameters())
    return timed(steps, "fused AdamW", job["effort"]) | {"parameters": parameters}


def say(answer):
    ANSWERS.write(json.dumps(answer) + "\n")


def main():
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    say(
        {
            "version": torch.__version__,
            "device": torch.cuda.get_device_name() if CUDA else "processor",
            "cuda": CUDA,
            "threads": torch.get_num_threads(),
        }
    )
    jobs = {"optim": optim, "matmul": matmul, "train": train}
    for line in sys.stdin:
        job = json.loads(line)
        answer = jobs[job["job"]](job)
        if CUDA:
            torch.cuda.empty_cache()
        say(answer)


if __name__ == "__main__":
    main()
