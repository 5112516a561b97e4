"""The same run in PyTorch, from the same weights: losses and weights agree within rounding."""

import numpy as np
import pytest

import downhill as dh

torch = pytest.importorskip("torch")


def torch_net():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))


@pytest.mark.parametrize("ours, theirs", [
    (lambda: dh.SGD(lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    (lambda: dh.SGD(lr=0.05, momentum=0.9, nesterov=True), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True)),
    (lambda: dh.AdamW(lr=1e-2), lambda p: torch.optim.AdamW(p, lr=1e-2)),
    (lambda: dh.RMSprop(lr=1e-3), lambda p: torch.optim.RMSprop(p, lr=1e-3)),
])
def test_a_run_is_pytorchs(digits, ours, theirs):
    x, t, _, _ = digits
    model, steps = torch_net(), 20
    net = dh.Sequential("flatten", dh.linear(32), "relu", dh.linear(10)).load_state_dict(model.state_dict())
    run = net.fit(x, t, loss="cross_entropy", optimizer=ours(), batch_size="full", steps=steps)
    optimizer, losses = theirs(model.parameters()), []
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(t))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(run.steps["loss"], losses, atol=1e-5)
    assert losses[-1] < losses[0]
    for name, values in net.state_dict().items():
        np.testing.assert_allclose(values, model.state_dict()[name].numpy(), atol=1e-4, err_msg=name)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in net.state_dict().items()})
    with torch.no_grad():
        np.testing.assert_allclose(net(x[:50]), model(torch.from_numpy(x[:50])).numpy(), atol=1e-4)


def test_tensors_are_taken_in_place(digits, net, quick):
    from downhill._arrays import as_array

    x, t, xv, tv = (torch.from_numpy(np.ascontiguousarray(own)) for own in digits)
    assert as_array("x", x).ctypes.data == x.data_ptr()
    assert as_array("x", x.requires_grad_()).ctypes.data == x.data_ptr()
    run = net.fit(x, t, eval=(xv, tv), **quick)
    assert run.last["eval_accuracy"] > 0.8 and isinstance(net.predict(xv), np.ndarray)
    with pytest.raises(dh.DataError, match=r"x: a tensor of torch.bfloat16 .* x.float\(\)"):
        net.predict(xv.to(torch.bfloat16))


def test_a_convolution_with_batch_norm_is_pytorchs_in_both_modes(digits):
    x, t, _, _ = (torch.from_numpy(np.ascontiguousarray(own)) for own in digits)
    x, t = x[:128], t[:128]
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 10)
    )
    net = dh.Sequential(dh.conv2d(4, 3), "batch_norm", "relu", "flatten", dh.linear(10)).load_state_dict(model.state_dict())
    model.eval()
    np.testing.assert_allclose(net(x), model(x).detach().numpy(), atol=1e-5)
    model.train()
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=0.1), []
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(model(x), t)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    run = net.fit(x, t, loss="cross_entropy", optimizer=dh.SGD(lr=0.1), batch_size="full", steps=5)
    np.testing.assert_allclose(run.steps["loss"], losses, atol=1e-5)
    state = model.state_dict()
    assert net.state_dict().keys() == state.keys()
    for name, values in net.state_dict().items():
        np.testing.assert_allclose(values, state[name].numpy(), atol=1e-5, err_msg=name)
