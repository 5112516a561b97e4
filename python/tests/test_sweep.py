"""Sweeps."""

import numpy as np
import pytest

import downhill as dh


def test_a_grid_with_seeds(digits, net, tmp_path):
    pandas = pytest.importorskip("pandas")
    x, t, xv, tv = digits
    found = dh.sweep(
        net, x, t, grid={"optimizer.lr": dh.log(1e-4, 1e-1, 4)}, seeds=range(2), eval=(xv, tv), loss="cross_entropy",
        optimizer=dh.AdamW(), epochs=2, out=tmp_path / "sweep", keep="all",
    )
    assert len(found.rows) == 8 and set(found.swept) == {"optimizer.lr", "seed"} and found.metric == "eval_loss"
    lrs = sorted({row["optimizer.lr"] for row in found.rows})
    np.testing.assert_allclose(lrs, [1e-4, 1e-3, 1e-2, 1e-1], rtol=1e-5)
    assert isinstance(found.table, pandas.DataFrame) and found.table["eval_loss"].is_monotonic_increasing
    best = found.best
    assert best["eval_loss"] == min(row["eval_loss"] for row in found.rows) and best["end"] == "finished"
    assert found.best_net.evaluate(xv, tv)["loss"] == pytest.approx(best["eval_loss"], rel=1e-5)

    # A run of the sweep has the bits of that run alone.
    alone = dh.Sequential("flatten", dh.linear(16), "relu", dh.linear(10))
    alone.fit(x, t, eval=(xv, tv), loss="cross_entropy", optimizer=dh.AdamW(lr=best["optimizer.lr"]), epochs=2,
              seed=best["seed"])
    for name, values in found.best_net.state_dict().items():
        assert (values == alone.state_dict()[name]).all(), name
    same = dict(grid={"optimizer.lr": dh.log(1e-4, 1e-1, 4)}, seeds=range(2), eval=(xv, tv), loss="cross_entropy",
                optimizer=dh.AdamW(), epochs=2, out=tmp_path / "sweep", keep="all")
    again = dh.sweep(net, x, t, resume=True, **same)
    for change, words in [
        (dict(epochs=3), "settings of a run"), (dict(optimizer="sgd"), "settings of a run"), (dict(seeds=range(3)), "runs"),
        (dict(grid={"optimizer.lr": [1e-3]}), "runs"), (dict(keep="none"), "options"),
    ]:
        with pytest.raises(dh.ConfigError, match=f"sweep holds a sweep with other {words}"):
            dh.sweep(net, x, t, resume=True, **{**same, **change})
    with pytest.raises(dh.ConfigError, match="other settings of a run"):
        dh.sweep(dh.Sequential("flatten", dh.linear(10)), x, t, resume=True, **same)
    with pytest.raises(dh.DataError, match=r"samples of shape \[1, 8, 8\]"):
        dh.sweep(net, x.reshape(-1, 64), t, resume=True, **{**same, "eval": (xv.reshape(-1, 64), tv)})
    with pytest.raises(dh.ConfigError, match="the same call with resume=True goes on with it"):
        dh.sweep(net, x, t, **same)
    assert again.ranked == found.ranked and again.rows == found.rows


def test_a_sweep_without_a_folder_and_what_is_wrong_with_one(digits, net):
    x, t, _, _ = digits
    options = dict(loss="cross_entropy", optimizer="sgd", epochs=1, eval=0.2)
    found = dh.sweep(net, x, t, zip={"optimizer.lr": [0.01, 0.1], "data.batch_size": [32, 64]}, **options)
    assert [row["data.batch_size"] for row in found.rows] == [32, 64] and found.path.exists()
    with pytest.raises(dh.ConfigError, match='the run with .*unknown key optimizer.lrr for sgd; did you mean "lr"'):
        dh.sweep(net, x, t, grid={"optimizer.lrr": [1.0]}, **options)
    with pytest.raises(dh.ConfigError, match="halving"):
        dh.sweep(net, x, t, grid={"optimizer.lr": [1.0]}, halving="x", **options)
    with pytest.raises(dh.ConfigError, match='did you mean "grid"'):
        dh.sweep(net, x, t, gird={"optimizer.lr": [1.0]}, **options)
    for wrong, words in [
        (dict(), r"give it grid=.* or seeds=range\(8\)"), (dict(seeds=3), r"seeds = 3: .*range\(8\)"),
        (dict(grid={"lr": [1.0]}), 'did you mean "optimizer.lr"'), (dict(grid={"batch_size": [1]}), 'did you mean "data.batch_size"'),
        (dict(grid=[1]), r"grid = \[1\]: a dict"), (dict(seeds=[0], resume=True), "the folder of the sweep is needed"),
    ]:
        with pytest.raises(dh.ConfigError, match=words):
            dh.sweep(net, x, t, **wrong, **options)


def test_ranges_take_numbers_of_numpy():
    assert dh.log(np.float64(1e-3), np.float32(0.5), np.int64(3)) == "0.001..0.5:log:3"
    assert dh.lin(np.int32(1), 4, 4) == "1..4:lin:4"
