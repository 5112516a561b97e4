"""Writes the type stubs of what is made of the engine's tables: ``python -m downhill._stubs FOLDER``.

A test compares the files of the package with what this module writes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from . import _names
from ._config import DATA_KEYS, KEYWORDS, SECTION_KEYS, TRAIN_KEYS
from ._names import BESIDE_OPTIMIZER, BESIDE_SCHEDULE, TABLES, positional

HEAD = '''# Written by `python -m downhill._stubs` from the tables of the engine.
from collections.abc import Mapping, Sequence
from typing import Any, Literal

'''


def type_of(option: dict[str, Any]) -> str:
    """The type of an option, from the words for what it takes and from its default."""
    kind, default = option.get("kind") or "", option.get("default")
    names = re.findall(r'"(\w+)"', kind)
    if kind.startswith("a whole number") and "," not in kind and not names:
        own = "int"
    elif kind == "a number":
        own = "float"
    elif kind == "true or false":
        own = "bool"
    elif kind == "a name":
        own = "str"
    elif names and re.fullmatch(r'"\w+"(,? or "\w+"|, "\w+")*', kind):
        own = f"Literal[{', '.join(repr(name) for name in names)}]"
    elif kind == "" and isinstance(default, bool):
        own = "bool"
    elif kind == "" and isinstance(default, (int, float)):
        own = "float" if isinstance(default, float) else "int"
    elif kind == "" and isinstance(default, str):
        own = "str"
    elif kind == "" and isinstance(default, list):
        own = "Sequence[float]"
    else:
        return "Any"
    return own if option.get("required") or default is not None else f"{own} | None"


def parameters(row: dict[str, Any], beside: list[dict[str, Any]] = []) -> str:
    """The parameters of a row's function."""
    first = sorted(positional(row), key=lambda option: not option.get("required", False))
    others = [option for option in row["options"] + beside if option not in first]

    def one(option: dict[str, Any]) -> str:
        default = "" if option.get("required") else f" = {option.get('default')!r}"
        return f"{option['name']}: {type_of(option)}{default}"

    return ", ".join([one(option) for option in first] + (["*"] if others else []) + [one(option) for option in others])


def _doc(row: dict[str, Any]) -> str:
    return row["about"].replace("\\", "\\\\").replace('"""', "'''")


def _all(rows: list[dict[str, Any]], key: str) -> str:
    """The list of a module's names."""
    return "__all__ = [\n" + "".join(f'    "{row[key]}",\n' for row in rows) + "]\n"


def entries(table: str) -> str:
    """The stub of a module of functions."""
    rows = TABLES[table]
    text = HEAD + "from ._names import Entry\n\n" + _all(rows, "name")
    for row in rows:
        text += f'\ndef {row["name"]}({parameters(row)}) -> Entry:\n    """{_doc(row)}"""\n'
    return text


def classes(table: str, name: str, beside: list[dict[str, Any]]) -> str:
    """The stub of a module of classes."""
    text = HEAD + "from ._names import Named\n\n" + _all(TABLES[table], name)
    for row in TABLES[table]:
        own = parameters(row, beside)
        text += f'\nclass {row[name]}(Named):\n    """{_doc(row)}"""\n\n    def __init__(self, {own}) -> None: ...\n'
    return text


def keywords() -> str:
    """The stub of the keywords that ``fit`` takes."""
    keys: dict[str, str] = {}
    for section in TABLES["sections"]:
        if section["name"] in ("data", "train"):
            for key in section["keys"]:
                keys.setdefault(key["name"], type_of({**key, "default": None}))
    known = {
        "loss": "str | Entry | Mapping[str, Any]",
        "optimizer": "str | Named | Mapping[str, Any]",
        "schedule": "str | Named | Mapping[str, Any] | None",
        "metrics": "Sequence[str | Entry | Mapping[str, Any]]",
        "augment": "Sequence[str | Entry | Mapping[str, Any]]",
        "early_stopping": "bool | Mapping[str, Any]",
        "eval_batch_size": "int",
        "seed": "int",
        "config": "str | PathLike[str] | Mapping[str, Any]",
    }
    text = HEAD + "from os import PathLike\nfrom typing import TypedDict\n\nfrom ._names import Entry, Named\n"
    text += '\nclass Keywords(TypedDict, total=False):\n    """Keys of a config that `fit` takes as keywords."""\n\n'
    for key in KEYWORDS:
        own = known.get(key) or ("Mapping[str, Any]" if key in SECTION_KEYS else keys.get(key, "Any"))
        text += f"    {key}: {own}\n"
    assert set(DATA_KEYS) | set(TRAIN_KEYS) <= set(KEYWORDS)
    return text


def stubs() -> dict[str, str]:
    """Every stub by the name of its file."""
    return {
        "layers.pyi": entries("layers"),
        "losses.pyi": entries("losses"),
        "metrics.pyi": entries("metrics"),
        "augment.pyi": entries("augmentations"),
        "optimizers.pyi": classes("optimizers", "class", BESIDE_OPTIMIZER),
        "schedules.pyi": classes("schedules", "name", BESIDE_SCHEDULE),
        "_keywords.pyi": keywords(),
    }


def main(folder: str) -> None:
    """Writes the stubs into a folder."""
    for name, text in stubs().items():
        Path(folder, name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(Path(_names.__file__).parent))
