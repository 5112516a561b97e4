"""The code of docs/guide/python.md runs from top to bottom."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs/guide/python.md"


def test_the_guide_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text(encoding="utf-8")
    blocks = [(found.start(), found.group(1)) for found in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S)]
    assert len(blocks) > 8
    names = {"__name__": "guide"}
    for start, block in blocks:
        line = text.count("\n", 0, start) + 1
        # Faults have the lines of the page.
        code = compile("\n" * line + block, str(GUIDE), "exec")
        try:
            exec(code, names)
        except ModuleNotFoundError as missing:
            assert missing.name == "torch", missing
    assert 'did you mean "lr"?' in capsys.readouterr().out
