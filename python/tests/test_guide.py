"""The code of docs/guide/python.md runs from top to bottom."""

import re
import warnings
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs/guide/python.md"


def test_the_guide_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text(encoding="utf-8")
    blocks = [(found.start(), found.group(1)) for found in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S)]
    assert len(blocks) > 8
    names, skipped = {"__name__": "guide"}, []
    for start, block in blocks:
        line = text.count("\n", 0, start) + 1
        # Faults have the lines of the page.
        code = compile("\n" * line + block, str(GUIDE), "exec")
        try:
            exec(code, names)
        except ModuleNotFoundError as missing:
            # The one block that compares with PyTorch, which need not be there.
            if missing.name != "torch" or not block.startswith("import torch\n"):
                raise
            warnings.warn(f"line {line} of the guide did not run: no torch is there", stacklevel=1)
            skipped.append(line)
    assert len(skipped) < 2
    assert 'did you mean "lr"?' in capsys.readouterr().out
