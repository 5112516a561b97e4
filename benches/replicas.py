#!/usr/bin/env python3
"""Many small nets that train at once, by JAX and by PyTorch: the peers of `cargo bench --bench replicas`.

    python3 benches/replicas.py [--replicas 1,4,16] [--widths 64,64,64,10] [--batch 128] [--device cuda]

A line of JSON for each engine and number of nets: milliseconds of a step of all nets, the median and the quartiles of
the blocks; the mean loss of all nets after `CHECKED` steps, to be the same for all engines; and a `note`, which is
version and device, or why there are no times: a module that is missing, too little memory. Blocks take about a second.
Where one takes more than 20, the rest are left out, and the line says so (`cut`).

- `JAX`: `jax.jit(jax.vmap(step))`, a call a step, the state donated.
- `JAX, scan`: the same with as many steps in a call as fill a tenth of a second, by `jax.lax.scan`, 64 at most.
- `torch.func`: `vmap(grad(loss))` over the parameters of `stack_module_state`, eager.

AdamW is written by hand in all, its rate a number for each net. All nets take one and the same batch in each step, which
is less work than the batches of their own that downhill gathers: the products of the first layer have an operand in
common. Losses are read back for the check only.
"""

import argparse
import gc
import json
import os
import statistics
import time

import numpy

CHECKED = 8
BETA1, BETA2, EPSILON, DECAY = 0.9, 0.999, 1e-8, 0.01
# Seconds that a block aims at, and those after which no further block begins.
BLOCK, PATIENCE = 1.0, 20.0


def problem(widths, batch, replicas):
    """Data, the rate of each net, and weights [out, in] and biases of each layer, stacked over the nets."""
    numbers = numpy.random.default_rng(0)
    x = numbers.random((batch, widths[0]), numpy.float32)
    t = numbers.integers(0, widths[-1], batch)
    rates = (1e-4 * 30 ** (numpy.arange(replicas) / replicas)).astype(numpy.float32)
    layers = []
    for fan_in, fan_out in zip(widths, widths[1:]):
        bound = fan_in**-0.5
        shapes = [(replicas, fan_out, fan_in), (replicas, fan_out)]
        layers.append([numbers.uniform(-bound, bound, shape).astype(numpy.float32) for shape in shapes])
    return x, t, rates, layers


class Jax:
    """Steps of all nets, so many a call."""

    def __init__(self, x, t, rates, layers, device, a_call=1):
        import jax
        from jax import numpy as jnp

        # JAX multiplies in TF32 on a GPU unless it is told not to; PyTorch and downhill do not.
        jax.config.update("jax_default_matmul_precision", "float32")
        self.jax, self.a_call, self.of = jax, a_call, jax.devices(device)[0]
        x, t, rates, layers = jax.device_put((x, t, rates, layers), self.of)
        # Copies: `step` gives the memory of its state away.
        parameters = jax.tree.map(jnp.copy, layers)
        zeros = [jax.tree.map(jnp.zeros_like, layers) for _ in range(2)]
        self.state = (parameters, *zeros, jnp.zeros_like(rates))

        def loss(layers, x, t):
            for i, (w, b) in enumerate(layers):
                x = (jax.nn.relu(x) if i else x) @ w.T + b
            return -jnp.take_along_axis(jax.nn.log_softmax(x), t[:, None], 1).mean()

        def step(state, rate, x, t):
            p, m, v, done = state
            done = done + 1
            g = jax.grad(loss)(p, x, t)
            m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
            v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
            first, root = rate / (1 - BETA1**done), jnp.sqrt(1 - BETA2**done)

            def updated(p, m, v):
                return p * (1 - rate * DECAY) - first * m / (jnp.sqrt(v) / root + EPSILON)

            return jax.tree.map(updated, p, m, v), m, v, done

        nets = jax.vmap(step, in_axes=(0, 0, None, None))

        def steps(state, rates, x, t, count):
            if count == 1:
                return nets(state, rates, x, t)
            return jax.lax.scan(lambda state, _: (nets(state, rates, x, t), None), state, length=count)[0]

        jitted = jax.jit(steps, static_argnums=4, donate_argnums=0)
        self.steps = lambda count: jitted(self.state, rates, x, t, count)
        self.losses = lambda: jax.jit(jax.vmap(loss, in_axes=(0, None, None)))(self.state[0], x, t)

    def run(self, steps):
        while steps > 0:
            count = min(steps, self.a_call)
            self.state = self.steps(count)
            steps -= count
        self.jax.block_until_ready(self.state)

    def loss(self):
        return float(self.losses().mean())

    def about(self):
        return f"{self.jax.__version__}, {self.of.device_kind}"


class TorchFunc:
    """Steps of all nets, eager."""

    a_call = 1

    def __init__(self, x, t, rates, layers, device):
        import torch
        from torch import nn
        from torch.func import functional_call, grad, stack_module_state, vmap

        self.torch, self.device = torch, device
        x, t, rates = (torch.from_numpy(a).to(device) for a in (x, t, rates))

        def net():
            shapes = [w.shape[1:] for w, _ in layers]
            modules = [m for fan_out, fan_in in shapes for m in (nn.ReLU(), nn.Linear(fan_in, fan_out))]
            return nn.Sequential(*modules[1:])

        self.p, _ = stack_module_state([net().to(device) for _ in rates])
        self.p = {name: p.detach() for name, p in self.p.items()}
        for p, values in zip(self.p.values(), (a for layer in layers for a in layer)):
            p.copy_(torch.from_numpy(values))
        self.m, self.v = ({name: torch.zeros_like(p) for name, p in self.p.items()} for _ in range(2))
        self.done, base = 0, net().to("meta")

        def loss(p, x, t):
            return nn.functional.cross_entropy(functional_call(base, p, (x,)), t)

        self.gradients = lambda: vmap(grad(loss), in_dims=(0, None, None))(self.p, x, t)
        self.losses = lambda: vmap(loss, in_dims=(0, None, None))(self.p, x, t)
        # A rate a net, along the first dimension of each tensor.
        self.rates = {name: rates.view(-1, *[1] * (p.dim() - 1)) for name, p in self.p.items()}

    def step(self):
        gradients = self.gradients()
        self.done += 1
        correction1, root = 1 - BETA1**self.done, (1 - BETA2**self.done) ** 0.5
        for name, p in self.p.items():
            g, m, v, rate = gradients[name], self.m[name], self.v[name], self.rates[name]
            m.lerp_(g, 1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            p.mul_(1 - rate * DECAY).sub_(rate / correction1 * m / ((v.sqrt() / root).add_(EPSILON)))

    def run(self, steps):
        with self.torch.no_grad():
            for _ in range(steps):
                self.step()
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def loss(self):
        with self.torch.no_grad():
            return float(self.losses().mean())

    def about(self):
        threads = f"processor, {self.torch.get_num_threads()} threads"
        device = self.torch.cuda.get_device_name() if self.device == "cuda" else threads
        return f"{self.torch.__version__}, {device}"


def seconds(engine, steps):
    start = time.perf_counter()
    engine.run(steps)
    return time.perf_counter() - start


def measured(engine, blocks):
    """The fields of a result: times of a step of all nets in milliseconds."""
    engine.run(engine.a_call)  # compiles
    steps = engine.a_call
    taken = seconds(engine, steps)
    while taken < BLOCK / 4:
        steps *= 2
        taken = seconds(engine, steps)
    steps = engine.a_call * max(1, round(steps / engine.a_call * BLOCK / taken))
    times = []
    for _ in range(blocks):
        times.append(seconds(engine, steps))
        if times[-1] > PATIENCE:
            break
    each = sorted(t / steps * 1e3 for t in times)
    lower, upper = (statistics.quantiles(each, n=4, method="inclusive")[::2]) if len(each) > 1 else each * 2
    cut = {"cut": True} if len(each) < blocks else {}
    return {"ms": statistics.median(each), "lower": lower, "upper": upper, "blocks": len(each), **cut}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    whole = lambda text: [int(n) for n in text.split(",")]  # noqa: E731
    parser.add_argument("--replicas", type=whole, default=[1, 4, 16, 64, 256, 1024])
    parser.add_argument("--widths", type=whole, default=[64, 64, 64, 10])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    arguments = parser.parse_args()
    device = arguments.device
    # JAX takes most of a GPU's memory at once unless it is told not to.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

    def say(**fields):
        print(json.dumps(fields), flush=True)

    def told(name, replicas, make):
        """Checks and times an engine; gives milliseconds a step, or None where it has none."""
        gc.collect()  # the engine before it
        try:
            engine = make(*problem(arguments.widths, arguments.batch, replicas), device)
            engine.run(CHECKED)
            loss = engine.loss()
            result = measured(engine, arguments.blocks)
        except (ImportError, RuntimeError) as err:
            # RuntimeError: no such device, or too little memory on it.
            about = "" if isinstance(err, ImportError) else f"{replicas} nets: "
            say(engine=name, replicas=replicas, note=f"{about}{type(err).__name__}: {str(err).splitlines()[0]}")
            return None
        say(engine=name, replicas=replicas, **result, loss=loss, note=engine.about())
        return result["ms"]

    # PyTorch after JAX: its threads spin for a while after work.
    for replicas in arguments.replicas:
        each = told("JAX", replicas, Jax)
        if each is not None:
            a_call = max(1, min(64, round(100 / each)))
            told("JAX, scan", replicas, lambda *given: Jax(*given, a_call=a_call))
    for replicas in arguments.replicas:
        told("torch.func", replicas, TorchFunc)


if __name__ == "__main__":
    main()
