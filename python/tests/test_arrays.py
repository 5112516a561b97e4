"""Types of arrays, and who owns their memory."""

import gc
import sys

import numpy as np
import pytest

import downhill as dh
from downhill._arrays import as_array


@pytest.mark.parametrize("dtype", ["f4", "f2", "u1", "i1", "u2", "i2", "i4"])
def test_types_of_the_engine_are_taken_in_place(dtype):
    x = np.zeros((4, 3), dtype)
    assert as_array("x", x) is x
    assert as_array("x", x[1:3]).ctypes.data == x[1:3].ctypes.data


@pytest.mark.parametrize("dtype, narrow", [("f8", "f4"), ("i8", "i4"), ("u4", "i4"), ("u8", "i4"), ("?", "f4"), (">f4", "f4"),
                                           (">i8", "i4")])
def test_other_numbers_become_narrow_ones(dtype, narrow):
    x = np.array([[0, 1], [1, 0]], dtype)
    taken = as_array("x", x)
    assert taken.dtype == np.dtype(narrow) and (taken == x).all()


def test_truth_is_0_and_1_in_inputs_and_labels_in_targets():
    truth = np.array([False, True])
    assert as_array("t", truth, is_target=True).dtype.kind == "u"
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], bool).repeat(16, axis=0)
    t = x[:, 0] ^ x[:, 1]
    options = dict(loss="cross_entropy", optimizer=dh.Adam(lr=3e-2), epochs=60, eval=(x, t))
    nets = [dh.Sequential(dh.linear(8), "tanh", dh.linear(2)) for _ in range(2)]
    a = nets[0].fit(x, t, **options)
    b = nets[1].fit(x.astype("f4"), t.astype(int), **options)
    assert (a.steps["loss"] == b.steps["loss"]).all() and a.last["eval_accuracy"] == 1
    assert (nets[0].predict(x) == nets[1].predict(x.astype("f4"))).all()


def test_arrays_with_strides_are_copied():
    x = np.arange(12, dtype="f4").reshape(3, 4)
    for view in (x.T, x[:, ::2], x[::-1]):
        taken = as_array("x", view)
        assert taken.flags.c_contiguous and (taken == view).all()


@pytest.mark.parametrize("value, words", [
    (np.array([1e300]), r"x\[0\] is .*1e\+300.*float32"),
    (np.array([2**40]), "1099511627776"),
    (np.array(["a", "b"]), "texts"),
    (np.array([None]), "objects"),
    (np.array([1j]), "complex"),
    (np.array(["2020-01-01"], "M8[D]"), "dates"),
    (3.0, "single number"),
    (iter([]), "is a list_iterator, and an array is needed"),
    (np.ma.array([1.0, 2.0], mask=[True, False]), "masked"),
    ([[1.0, 2.0], [3.0]], "no array"),
])
def test_what_is_no_number_is_told(value, words):
    with pytest.raises(dh.DataError, match=words):
        as_array("x", value)


def test_infinities_and_nan_stay():
    x = np.array([np.inf, -np.inf, np.nan])
    assert np.array_equal(as_array("x", x), x.astype("f4"), equal_nan=True)


def test_lists_and_frames_are_arrays(net):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [0.0, 1.0, 0.0, 1.0], "b": [0.0, 0.0, 1.0, 1.0]})
    t = pandas.Series([0, 1, 1, 0])
    both = [dh.Sequential(dh.linear(8), "tanh", dh.linear(2)) for _ in range(2)]
    options = dict(loss="cross_entropy", optimizer="adamw", epochs=2)
    a = both[0].fit(frame, t, **options)
    b = both[1].fit(frame.to_numpy().tolist(), t.tolist(), **options)
    assert (a.steps["loss"] == b.steps["loss"]).all()


def test_dlpack_is_taken_in_place():
    class Tensor:
        """A tensor of another library."""

        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    x = np.arange(6, dtype="f4").reshape(3, 2)
    assert as_array("x", Tensor(x)).ctypes.data == x.ctypes.data

    class Far(Tensor):
        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(dh.DataError, match=r"x\.cpu\(\)"):
        as_array("x", Far(x))

    class Sparse(Tensor):
        layout = "torch.sparse_coo"

    with pytest.raises(dh.DataError, match=r"x\.to_dense\(\)"):
        as_array("x", Sparse(x))

    class Meta(Tensor):
        is_meta = True

        def __dlpack_device__(self):
            raise ValueError("meta")

    with pytest.raises(dh.DataError, match="no numbers"):
        as_array("x", Meta(x))


LARGE = """
import resource
import numpy as np
import downhill as dh

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def train(x, t):
    net = dh.Sequential(dh.linear(4), "relu", dh.linear(2))
    net.fit(x, t, loss="cross_entropy", optimizer="sgd", steps=3, residence="streamed", sampling="file")

t = np.arange(64) % 2
train(np.ones((64, 1000), "f4"), t)
x = np.ones((100_000, 1000), "f4")
before = peak()
train(x, np.arange(100_000) % 2)
print(before, peak())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux")
def test_a_large_array_is_not_copied(program):
    out, err = program(LARGE).communicate(timeout=300)
    before, after = map(int, out.split())
    # The array has 390,625 KiB; labels, an order and the batches that are read ahead take a tenth of that.
    assert after - before < 100_000, (before, after, err)


def test_an_array_lives_as_long_as_its_run_needs_it():
    # Of float64 only the run has a copy as float32; what is freed meanwhile is written over.
    x = np.random.default_rng(0).normal(size=(256, 64))
    t = np.arange(256) % 2
    options = dict(loss="cross_entropy", optimizer="sgd", epochs=2, residence="streamed")
    plainly = dh.Sequential(dh.linear(2)).fit(x, t, **options).steps["loss"]
    kept = []

    def write_over(step):
        gc.collect(0)
        kept.extend(np.full(x.shape, 1e3, "f4") for _ in range(8))

    beside = dh.Sequential(dh.linear(2)).fit(x, t, on_steps=write_over, **options).steps["loss"]
    assert kept and (plainly == beside).all()
