"""The progress of a run: a bar of tqdm where it is installed, else a line that changes in a terminal, else a line an epoch."""

from __future__ import annotations

import sys
import time
from typing import Any, Callable

from ._errors import ConfigError


def _shown(record: dict[str, float]) -> dict[str, str]:
    """The numbers of an epoch that are shown."""
    names = [name for name in record if name in ("train_loss", "eval_loss") or name.startswith("eval_metrics.")]
    shown = {name.replace("eval_metrics.", ""): f"{record[name]:.4f}" for name in names}
    if "eval_accuracy" in record:
        shown["eval_accuracy"] = f"{record['eval_accuracy']:.2%}"
    return shown


class Quiet:
    """Shows nothing."""

    def start(self, run: dict[str, Any]) -> None:
        pass

    def steps(self, step: int, epoch: int, loss: float, lr: float) -> None:
        pass

    def epoch(self, record: dict[str, float]) -> None:
        pass

    def close(self) -> None:
        pass


class Lines(Quiet):
    """A line an epoch; in a terminal the last line changes with every window of steps."""

    def __init__(self, stream: Any = None) -> None:
        self.stream = stream or sys.stderr
        self.live = bool(getattr(self.stream, "isatty", lambda: False)())
        self.run: dict[str, Any] = {}
        self.width = 0
        #: The first steps that were seen, and when: what came before them was compiling.
        self.first: tuple[int, float] | None = None

    def start(self, run: dict[str, Any]) -> None:
        self.run, self.first = run, None

    def _write(self, text: str, end: str) -> None:
        blank = " " * max(0, self.width - len(text))
        self.stream.write(f"\r{text}{blank}{end}" if self.live else f"{text}{end}")
        self.stream.flush()
        self.width = len(text) if end == "" else 0

    def steps(self, step: int, epoch: int, loss: float, lr: float) -> None:
        if not self.live:
            return
        total, now = self.run["total_steps"], time.monotonic()
        self.first = self.first or (step, now)
        done, took = step - self.first[0], now - self.first[1]
        left = f"  {took / done * (total - step):.0f} s left" if took > 0.5 and done else ""
        self._write(f"epoch {epoch}  step {step}/{total}  loss {loss:.4f}{left}", "")

    def epoch(self, record: dict[str, float]) -> None:
        epochs = -(-self.run["total_steps"] // max(1, self.run["steps_per_epoch"]))
        numbers = "  ".join(f"{name} {value}" for name, value in _shown(record).items())
        self._write(f"epoch {int(record['epoch'])}/{epochs}  {numbers}", "\n")

    def close(self) -> None:
        if self.width:
            self._write("", "")
            self.stream.write("\r")
            self.stream.flush()


class Bar(Quiet):
    """A bar of tqdm, in notebooks too."""

    def __init__(self, tqdm: Callable[..., Any]) -> None:
        self.tqdm = tqdm
        self.bar: Any = None

    def start(self, run: dict[str, Any]) -> None:
        if self.bar is None:
            self.bar = self.tqdm(total=run["total_steps"], unit="step", dynamic_ncols=True)
        self.bar.n = run["step"]
        self.bar.refresh()

    def steps(self, step: int, epoch: int, loss: float, lr: float) -> None:
        if self.bar is not None:
            self.bar.set_description(f"epoch {epoch}", refresh=False)
            self.bar.update(step - self.bar.n)

    def epoch(self, record: dict[str, float]) -> None:
        if self.bar is not None:
            self.bar.set_postfix(_shown(record))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def choose(progress: Any) -> Quiet:
    """The view for ``progress``: True, False, ``"plain"`` for lines in any case, or an object with these methods."""
    if not progress:
        return Quiet()
    if progress is True:
        try:
            from tqdm.auto import tqdm  # type: ignore[import-untyped]
        except ImportError:
            return Lines()
        return Bar(tqdm)
    if isinstance(progress, str) and progress == "plain":
        return Lines()
    missing = [name for name in ("start", "steps", "epoch", "close") if not hasattr(progress, name)]
    if missing:
        raise ConfigError(f'progress = {progress!r}: True, False, "plain", or an object with the methods start, steps, epoch '
                          f"and close is needed; this one has no {missing[0]}")
    return progress


class Observer:
    """Passes what happens on to the view and to the functions of the user."""

    def __init__(self, view: Quiet, on_epoch: Any = None, on_steps: Any = None) -> None:
        self.view, self.on_epoch, self.on_steps = view, on_epoch, on_steps

    def start(self, run: dict[str, Any]) -> None:
        self.view.start(run)

    def steps(self, step: int, epoch: int, loss: float, lr: float) -> None:
        self.view.steps(step, epoch, loss, lr)
        if self.on_steps is not None:
            self.on_steps({"step": step, "epoch": epoch, "loss": loss, "lr": lr})

    def epoch(self, record: dict[str, float]) -> None:
        self.view.epoch(record)
        if self.on_epoch is not None:
            self.on_epoch(record)
