"""Keyword arguments as the config that they stand for.

A keyword is a key of ``[data]`` or ``[train]``, ``seed``, ``loss``, ``optimizer``, ``metrics`` of ``[eval]``, or the name of a
section with its keys as a dict. ``config`` is a whole config, a file or a dict, that the others change.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._errors import ConfigError
from ._names import TABLES, plain

_SECTIONS = {section["name"]: [key["name"] for key in section["keys"]] for section in TABLES["sections"]}
#: Keys of [data] as keywords of their own; the source is the arrays.
DATA_KEYS = [key for key in _SECTIONS["data"]] + ["augment"] + [
    row["name"] for row in TABLES["memory"] if row["name"] not in ("sample", "integers")
]
TRAIN_KEYS = _SECTIONS["train"]
#: Sections as dicts.
SECTION_KEYS = ["data", "train", "seeds", "init", "schedule", "average", "checkpoint", "early_stopping", "watch", "tune"]
#: Every keyword of a config.
KEYWORDS = sorted(
    {"loss", "optimizer", "metrics", "eval_batch_size", "seed", "config", *DATA_KEYS, *TRAIN_KEYS, *SECTION_KEYS}
)


def _unknown(key: str, others: list[str]) -> ConfigError:
    known = sorted({*KEYWORDS, *others})
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(known)}"
    return ConfigError(f"unknown key {key}; {hint}")


def _read(config: Any) -> dict[str, Any]:
    """A config of a file or a dict, as a dict of its own."""
    if config is None:
        return {}
    if isinstance(config, (str, os.PathLike)):
        try:
            import tomllib
        except ModuleNotFoundError:
            import tomli as tomllib  # type: ignore[no-redef,import-not-found]
        try:
            return tomllib.loads(Path(config).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read the config {os.fspath(config)}: {error}") from error
    if not isinstance(config, Mapping):
        raise ConfigError(f"config = {config!r}: the path of a file or a dict is needed")
    return plain(config)


def _named(value: Any) -> Any:
    """An optimizer or a schedule: its name alone stands for a table."""
    value = plain(value)
    return {"name": value} if isinstance(value, str) else value


def build(layers: list[Any], keywords: dict[str, Any], others: list[str] = []) -> dict[str, Any]:
    """The config of these layers and keywords. The names ``others`` are suggested too where a keyword is unknown."""
    for key in keywords:
        if key not in KEYWORDS:
            raise _unknown(key, others)
    given = {key: value for key, value in keywords.items() if value is not None}
    table = _read(given.pop("config", None))
    # The samples are arrays, whatever the config names.
    own = dict(table.get("data") or {})
    for key in ("source", "root"):
        own.pop(key, None)
    table["data"] = {"source": "memory", **own}
    for section in SECTION_KEYS:
        if section in given:
            value = given.pop(section)
            if section == "early_stopping" and value is False:
                table.pop(section, None)
                continue
            if section == "early_stopping" and value is True:
                value = {}
            value = _named(value) if section == "schedule" else plain(value)
            if not isinstance(value, dict):
                raise ConfigError(f"{section} = {value!r}: a dict of the keys of [{section}] is needed")
            table[section] = {**(table.get(section) or {}), **value} if section in ("data", "train") else value
    model = dict(table.get("model") or {})
    if layers:
        model["layers"] = plain(layers)
    if "loss" in given:
        model["loss"] = plain(given.pop("loss"))
    table["model"] = model
    if "optimizer" in given:
        table["optimizer"] = _named(given.pop("optimizer"))
    evaluation = dict(table.get("eval") or {})
    if "metrics" in given:
        evaluation["metrics"] = plain(given.pop("metrics"))
    if "eval_batch_size" in given:
        evaluation["batch_size"] = given.pop("eval_batch_size")
    if evaluation:
        table["eval"] = evaluation
    if "seed" in given:
        table["seed"] = given.pop("seed")
    for key, value in given.items():
        section = "train" if key in TRAIN_KEYS else "data"
        table[section] = {**(table.get(section) or {}), key: plain(value)}
    return table
