"""Ctrl-C, and threads of Python beside a run."""

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import downhill as dh

LONG = """
import signal
import sys
import time
import numpy as np
import downhill as dh

# A program that a shell runs in the background begins with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

rng = np.random.default_rng(0)
x, t = rng.normal(size=(2000, 16)).astype("f4"), np.arange(2000) % 4
net = dh.Sequential(dh.linear(32), "relu", dh.linear(4))
out = sys.argv[1] if len(sys.argv) > 1 else None

def told(step):
    if step["step"] >= 20:
        print("training", time.process_time(), flush=True)

try:
    net.fit(x, t, loss="cross_entropy", optimizer="adamw", epochs=100_000, seed=1, out=out, on_steps=told)
except KeyboardInterrupt as stop:
    run = stop.run
    assert isinstance(stop, dh.Interrupted) and run.outcome == "stopped" and net.predict(x[:2]).shape == (2, 4)
    print(f"step {run.step}: {stop}", flush=True)
    sys.exit(3)
"""


#: Evaluations and predictions of a minute: a large net, on 100,000 samples.
SLOW = """
import signal
import sys
import threading
import time
import numpy as np
import downhill as dh

signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.random.default_rng(0).normal(size=(100_000, 64)).astype("f4")
t = np.zeros(len(x), "i4")
net = dh.Sequential(dh.linear(2048), "relu", dh.linear(2048), "relu", dh.linear(2))
options = dict(loss="cross_entropy", optimizer="sgd", batch_size=16)
few = [x[:32], np.arange(32) % 2]
net.fit(*few, steps=2, **options)
work = {
    "predict": lambda: net.predict(x),
    "evaluate": lambda: net.evaluate(x, t),
    "fit": lambda: net.fit(*few, steps=2, eval=(x, t), **options),
    "sweep": lambda: dh.sweep(net.reset(), *few, steps=2, eval=(x, t), grid={"optimizer.lr": [0.1, 0.2]}, **options),
}[sys.argv[1]]
if sys.argv[1] == "predict":
    net.predict(x[:256])


def told():
    # More than compiling takes of the processors, which others may hold as well, and far less than the work.
    began = time.process_time()
    while time.process_time() - began < 4:
        time.sleep(0.01)
    print("training", time.process_time(), flush=True)


threading.Thread(target=told, daemon=True).start()
try:
    work()
except KeyboardInterrupt as stop:
    print(type(stop).__name__, flush=True)
    sys.exit(3)
"""


def interrupted(program, *args, text=LONG):
    """Runs the program until it trains, sends it Ctrl-C, and gives its last line."""
    children = processor_time_of_children()
    process = program(text, args=args)
    word, used = process.stdout.readline().split() or ["nothing", 0]
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert word == "training" and process.returncode == 3, out + err
    # With the end of the process itself. Other tests may hold the processors, so that the time is the process's own; a
    # process that only waits uses none, and has the second bound.
    assert processor_time_of_children() - children - float(used) < 2
    assert time.monotonic() - began < 15
    return out.splitlines()[-1]


def processor_time_of_children():
    """Seconds of user and system time of all child processes that have ended."""
    import resource  # not there on Windows, where the tests of Ctrl-C are skipped

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.fixture
def program(tmp_path):
    """Starts a program with arguments."""

    def start(text, args=()):
        file = tmp_path / "program.py"
        file.write_text(text)
        return subprocess.Popen([sys.executable, str(file), *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, cwd=tmp_path)

    return start


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_stops_a_run_and_the_net_has_its_weights(program):
    line = interrupted(program)
    assert "the net has its weights" in line


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("work, raised", [("predict", "KeyboardInterrupt"), ("evaluate", "KeyboardInterrupt"),
                                          ("fit", "Interrupted"), ("sweep", "Interrupted")])
def test_ctrl_c_stops_predictions_and_evaluations(program, work, raised):
    assert interrupted(program, work, text=SLOW) == raised


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_saves_a_run_that_resumes_to_equal_bits(program, tmp_path):
    line = interrupted(program, "run")
    step = int(line.split()[1].rstrip(":"))
    assert 'downhill.resume("run", x, t) goes on with it' in line
    assert (tmp_path / "run/checkpoints").is_dir()

    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(2000, 16)).astype("f4"), np.arange(2000) % 4
    per_epoch = -(-2000 // 32)
    epochs = step // per_epoch + 2
    # The config is the run's but for its end.
    run = dh.resume(tmp_path / "run", x, t, set={"train.epochs": epochs})
    assert run.outcome == "finished" and run.step == epochs * per_epoch and run.steps["step"][0] == step + 1
    whole = dh.Sequential(dh.linear(32), "relu", dh.linear(4))
    whole.fit(x, t, loss="cross_entropy", optimizer="adamw", epochs=epochs, seed=1)
    for ours, theirs in zip(run.net.state_dict().values(), whole.state_dict().values()):
        assert ours.tobytes() == theirs.tobytes()
    assert run.net.predict(x[:3]).shape == (3, 4)
    with pytest.raises(dh.CheckpointError, match="is done"):
        dh.resume(tmp_path / "run", x, t)


def test_other_data_do_not_resume_a_run(tmp_path, digits, net, quick):
    x, t, _, _ = digits

    def stop(epoch):
        raise dh.StopTraining

    net.fit(x, t, out=tmp_path / "run", on_epoch=stop, **quick)
    with pytest.raises(dh.CheckpointError, match="the data are not those of the run"):
        dh.resume(tmp_path / "run", x + 1, t)
    with pytest.raises(dh.DataError, match=r"samples of shape \[1, 8, 8\], f32, and these have shape \[64\]"):
        dh.resume(tmp_path / "run", x.reshape(len(x), 64), t)
    assert dh.resume(tmp_path / "run", x, t).outcome == "finished"
    with pytest.raises(dh.ConfigError, match="holds a run already"):
        net.fit(x, t, out=tmp_path / "run", **quick)


def test_threads_of_python_go_on_while_a_net_trains():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(4096, 64)).astype("f4"), np.arange(4096) % 4
    net = dh.Sequential(dh.linear(256), "relu", dh.linear(256), "relu", dh.linear(4))
    options = dict(loss="cross_entropy", optimizer="adamw", batch_size=1024)
    net.fit(x, t, steps=4, **options)
    ticks, done = [], threading.Event()

    def count():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.002)

    thread = threading.Thread(target=count)
    thread.start()
    began = time.monotonic()
    net.fit(x, t, steps=40, **options)
    took = time.monotonic() - began
    done.set()
    thread.join()
    gaps = np.diff([began, *ticks, began + took])
    # A thread that waits for the whole run has one gap as long as the run.
    assert took > 0.3 and gaps.max() < took / 3 and len(ticks) > 20, (took, gaps.max(), len(ticks))


def test_nets_train_in_threads(digits, quick):
    x, t, _, _ = digits
    nets = [dh.Sequential("flatten", dh.linear(16), "relu", dh.linear(10)) for _ in range(3)]
    threads = [threading.Thread(target=net.fit, args=(x, t), kwargs=quick) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, *others = [net.state_dict() for net in nets]
    for other in others:
        assert all((first[name] == other[name]).all() for name in first)


FORKED = """
import os
import numpy as np
import downhill as dh

x, t = np.zeros((8, 3), "f4"), np.arange(8) % 2
net = dh.Sequential(dh.linear(2))
net.fit(x, t, loss="cross_entropy", optimizer="sgd", epochs=1)
net.predict(x)
child = os.fork()
if child == 0:
    for work in (dh.adapters, lambda: net.predict(x), lambda: net(x), lambda: net.evaluate(x, t)):
        try:
            work()
            os._exit(9)
        except dh.GpuError as error:
            "spawn" in str(error) or os._exit(8)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="forks")
def test_a_forked_process_is_told_so(program):
    out, err = program(FORKED).communicate(timeout=60)
    assert out.strip() == "7", err
