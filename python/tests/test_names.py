"""Functions, classes and stubs follow from the engine's tables."""

import ast
import inspect
from pathlib import Path

import pytest

import downhill as dh
from downhill import _downhill, _stubs
from downhill._names import TABLES

PACKAGE = Path(_stubs.__file__).parent


@pytest.mark.parametrize("name", sorted(_stubs.stubs()))
def test_stubs_are_what_the_tables_say(name):
    text = _stubs.stubs()[name]
    assert (PACKAGE / name).read_text(encoding="utf-8") == text, "python -m downhill._stubs FOLDER writes them again"
    ast.parse(text)


def test_the_stub_of_the_extension_names_all_of_it():
    tree = ast.parse((PACKAGE / "_downhill.pyi").read_text(encoding="utf-8"))
    named = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert named == {name for name in dir(_downhill) if not name.startswith("__")}


def test_every_name_is_a_function_or_a_class():
    assert len(TABLES["optimizers"]) == 17
    for module, table, key in [
        (dh.layers, "layers", "name"), (dh.losses, "losses", "name"), (dh.metrics, "metrics", "name"),
        (dh.augment, "augmentations", "name"), (dh.optimizers, "optimizers", "class"), (dh.schedules, "schedules", "name"),
    ]:
        assert module.__all__ == [row[key] for row in TABLES[table]]
        for row in TABLES[table]:
            made = getattr(module, row[key])
            assert row["about"].split("`")[0] in made.__doc__
            parameters = inspect.signature(made).parameters
            assert set(parameters) >= {option["name"] for option in row["options"]}
    for name in dh.layers.__all__ + dh.optimizers.__all__ + ["Classifier", "Regressor"]:
        assert hasattr(dh, name) and name in dh.__all__
    assert inspect.signature(dh.AdamW).parameters["lr"].default == pytest.approx(1e-3)
    assert "clip_norm" in inspect.signature(dh.AdamW).parameters


def test_defaults_of_the_tables_are_allowed():
    """Each with its defaults alone, where nothing is required, and optimizers with all of their defaults."""
    for row in TABLES["optimizers"]:
        options = {o["name"]: o["default"] for o in row["options"] if o["default"] is not None}
        getattr(dh.optimizers, row["class"])(**options)
    for module, table in [(dh.layers, "layers"), (dh.losses, "losses"), (dh.metrics, "metrics"), (dh.augment, "augmentations")]:
        for row in TABLES[table]:
            if not any(option.get("required") for option in row["options"]):
                getattr(module, row["name"])()


def test_entries_are_values():
    assert dh.linear(3) == dh.linear(out_features=3) and dh.linear(3) != dh.linear(4)
    assert dh.AdamW(lr=1) == dh.AdamW(lr=1) and len({dh.linear(3), dh.linear(3)}) == 1
    assert repr(dh.conv2d(16, 3)) == "conv2d(out_channels=16, kernel_size=3)"
    assert repr(dh.SGD(lr=0.1)) == "SGD(lr=0.1)"
    nested = dh.residual(dh.Sequential(dh.linear(4), "relu"))
    assert nested.__downhill__() == {"residual": {"layers": [{"linear": {"out_features": 4}}, "relu"]}}


def test_the_package_works_without_scikit_learn(program):
    text = """
import importlib.abc
import sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "sklearn":
            raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")

import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "sklearn" else found(name, *rest)
sys.meta_path.insert(0, Missing())
from downhill import *
import downhill as dh

assert "Classifier" not in dh.__all__ and not hasattr(dh, "Classifier") and Sequential is dh.Sequential
try:
    dh.Classifier
except AttributeError as error:
    print(error)
"""
    out, err = program(text).communicate(timeout=60)
    assert out.strip().endswith("need scikit-learn 1.6 or later: pip install scikit-learn"), err
