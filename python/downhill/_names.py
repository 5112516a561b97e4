"""Functions and classes for every name that a config can have, made of the engine's own tables.

Nothing is listed here: a new layer or optimizer of the engine is a function or a class without any change.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, Callable

from . import _downhill

#: Every layer, loss, metric, augmentation, optimizer and schedule with its options, and every section of a config.
TABLES: dict[str, Any] = json.loads(_downhill.tables())


def plain(value: Any) -> Any:
    """A value as a config has it: of lists, dicts, texts and numbers."""
    # `AdamW` and `relu` without parentheses stand for themselves with no options.
    if isinstance(value, type) and issubclass(value, Named) or getattr(value, "makes_entry", False):
        value = value()
    if hasattr(value, "__downhill__"):
        return value.__downhill__()
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [plain(inner) for inner in value]
    return value


class Entry:
    """A name with options: a layer, a loss, a metric or an augmentation."""

    def __init__(self, kind: str, name: str, options: dict[str, Any], flat: bool = False) -> None:
        self.kind, self.name, self.options, self._flat = kind, name, options, flat
        _downhill.check(kind, self)

    def __downhill__(self) -> Any:
        options = plain(self.options)
        if self._flat and options:
            # The first option stands beside the name, the others after it.
            first, *others = options.items()
            return {self.name: first[1], **dict(others)}
        return {self.name: options} if options else self.name

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.options.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and plain(self) == plain(other)

    def __hash__(self) -> int:
        return hash(repr(plain(self)))


class Named:
    """A table with a name: an optimizer or a schedule."""

    _kind: str
    _name: str

    def __init__(self, **options: Any) -> None:
        self.options = {key: value for key, value in options.items() if value is not None}
        _downhill.check(self._kind, self)

    def __downhill__(self) -> dict[str, Any]:
        return {"name": self._name, **plain(self.options)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.options.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and plain(self) == plain(other)

    def __hash__(self) -> int:
        return hash(repr(plain(self)))


def positional(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The options that need no name, in their order: the main one, and those that are required."""
    main = [option for option in row["options"] if option["name"] == row.get("short")]
    required = [option for option in row["options"] if option.get("required") and option not in main]
    return main + required


def signature(row: dict[str, Any], beside: list[dict[str, Any]] = []) -> inspect.Signature:
    """The parameters of a function for a row of a table."""
    first = positional(row)
    others = [option for option in row["options"] + beside if option not in first]

    def parameter(option: dict[str, Any], kind: Any) -> inspect.Parameter:
        default = inspect.Parameter.empty if option.get("required") else option.get("default")
        return inspect.Parameter(option["name"], kind, default=default)

    both = inspect.Parameter.POSITIONAL_OR_KEYWORD
    # Options without a default come first.
    ordered = sorted(first, key=lambda option: not option.get("required", False))
    return inspect.Signature(
        [parameter(option, both) for option in ordered]
        + [parameter(option, inspect.Parameter.KEYWORD_ONLY) for option in others]
    )


def _text(row: dict[str, Any], where: str) -> str:
    """The docstring of a function for a row."""
    lines = [row["about"].replace("``", "`")]
    if row.get("equation"):
        lines.append(f"Value: {row['equation']}.")
    if row.get("source"):
        lines.append(f"Source: {row['source']}.")
    if row.get("torch"):
        lines.append(f"As {row['torch']}.")
    if where:
        lines.append(f"In a config: {where}.")
    return "\n\n".join(lines)


def entry_function(kind: str, row: dict[str, Any], where: str, flat: bool = False) -> Callable[..., Entry]:
    """The function that makes entries of a row."""
    name, order = row["name"], [option["name"] for option in positional(row)]
    by_signature = [p.name for p in signature(row).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]

    def function(*values: Any, **options: Any) -> Entry:
        if len(values) > len(by_signature):
            raise TypeError(f"{name} takes {len(by_signature)} options without a name ({', '.join(by_signature)}), and "
                            f"{len(values)} are given; the others go by name")
        given = dict(zip(by_signature, values))
        twice = [key for key in given if key in options]
        if twice:
            raise TypeError(f"{name} got {twice[0]} twice")
        given.update(options)
        given = {key: value for key, value in given.items() if value is not None}
        if flat:
            # The main option is the first.
            default = {option["name"]: option.get("default") for option in row["options"]}
            main = {key: given.get(key, default.get(key)) for key in order if given}
            given = {**main, **given}
        return Entry(kind, name, given, flat)

    function.__name__ = function.__qualname__ = name
    function.__signature__ = signature(row)  # type: ignore[attr-defined]
    function.__doc__ = _text(row, where)
    function.makes_entry = True  # type: ignore[attr-defined]
    return function


#: The keys of [optimizer] beside those of its name.
BESIDE_OPTIMIZER = next(s for s in TABLES["sections"] if s["name"] == "optimizer")["keys"]
#: The keys of [schedule] beside those of its name.
BESIDE_SCHEDULE = next(s for s in TABLES["sections"] if s["name"] == "schedule")["keys"]


def named_class(kind: str, row: dict[str, Any], beside: list[dict[str, Any]]) -> type[Named]:
    """The class of an optimizer."""
    made = type(row["class"], (Named,), {"_kind": kind, "_name": row["name"], "__doc__": _text(row, "")})
    made.__module__ = "downhill.optimizers"
    made.__signature__ = signature(row, beside)  # type: ignore[attr-defined]
    return made


def schedule_function(row: dict[str, Any]) -> Callable[..., Named]:
    """The function of a schedule."""
    made = type(row["name"], (Named,), {"_kind": "schedule", "_name": row["name"], "__doc__": _text(row, "")})
    made.__module__ = "downhill.schedules"
    made.__signature__ = signature(row, BESIDE_SCHEDULE)  # type: ignore[attr-defined]
    return made
