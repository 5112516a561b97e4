#!/usr/bin/env python3
"""Runs a command on a terminal (tmux) and draws the screen, midway and at the end, as an SVG.

    scripts/terminal-svg.py docs/run.svg "downhill train examples/digits.toml"

Needs tmux. The command runs in an empty directory that has a copy of examples/, with target/release in
PATH. Midway is the last screen on which the bar of the run stands between 40% and 75%, and that of its epoch
below 90% if there is one; below it are the lines that the end has in place of the view. Bars and curves are
drawn as shapes, for few fonts have their characters as wide as the others.
"""

import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS, ROWS = 112, 30
CELL, LINE, SIZE, MARGIN = 8.4, 20, 14, 18
BACK, FORE = "#16181d", "#d5d8de"
COLOURS = ["#555a66", "#e06c75", "#7fc379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d5d8de"]


def record(command):
    """The two screens, as text with escape sequences."""
    root = Path(__file__).resolve().parent.parent
    session = f"terminal-svg-{os.getpid()}"

    def tmux(*args):
        result = subprocess.run(["tmux", "-L", session, "-f", "/dev/null", *args], capture_output=True)
        return result.stdout.decode()

    with tempfile.TemporaryDirectory() as where:
        shutil.copytree(root / "examples", f"{where}/examples")
        path = f"{root / 'target/release'}:{os.environ['PATH']}"
        shell = ["env", f"PATH={path}", "PS1=$ ", "bash", "--norc", "--noprofile"]
        tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-c", where, *shell)
        try:
            time.sleep(1)
            tmux("send-keys", command, "Enter")
            midway, end, amid = "", "", False
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                time.sleep(0.04)
                end = tmux("capture-pane", "-e", "-p")
                plain = re.sub(r"\x1b\[[0-9;]*m", "", end)
                epoch, run = (re.search(rf"^{bar} .*?(\d+)%  ", plain, re.M) for bar in ("epoch", "run"))
                if epoch and run and 40 <= int(run[1]) <= 75:
                    begun = int(epoch[1]) < 90
                    midway, amid = (midway, amid) if amid and not begun else (end, begun)
                if end.rstrip().endswith("$") and command in end:
                    above = set(midway.split("\n"))
                    return [midway, "\n".join(x for x in end.rstrip()[:-1].split("\n") if x not in above)]
        finally:
            tmux("kill-server")
    sys.exit("the command did not end in two minutes")


def runs(line):
    """(column, text, colour, dim) for each stretch of one style without a gap."""
    column, colour, dim = 0, FORE, False
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not part.startswith("\x1b"):
            for words in re.finditer(r"\S+(?: \S+)*", part):
                yield column + words.start(), words[0], colour, dim
            column += len(part)
            continue
        for code in part[2:-1].split(";"):
            code = int(code or 0)
            if code in (0, 39):
                colour = FORE
            if code in (0, 22):
                dim = False
            if code == 2:
                dim = True
            if 30 <= code <= 37 or 90 <= code <= 97:
                colour = COLOURS[code % 10]


# The dots of a braille character, bit by bit: column and row.
DOTS = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]


def shape(text, x, y, colour, fade):
    """A bar or a curve as a path; nothing for text. `y` is the line's baseline."""
    if re.fullmatch(r"[\u2501\u2578]+", text):
        long = CELL * (len(text) - text.count("\u2578") / 2)
        return f'<path d="M{x:.1f} {y - 5}h{long:.1f}" stroke="{colour}" stroke-width="3"{fade}/>'
    if not re.fullmatch(r"[\u2800-\u28ff ]+", text):
        return None
    top = y - SIZE
    dots = [
        f"M{x + CELL * (at + 0.25 + column / 2):.1f} {top + LINE * (row + 0.5) / 4:.1f}h0"
        for at, cell in enumerate(text)
        for bit, (column, row) in enumerate(DOTS)
        if cell != " " and (ord(cell) - 0x2800) >> bit & 1
    ]
    style = f'stroke="{colour}" stroke-width="3" stroke-linecap="round" fill="none"{fade}'
    return f'<path d="{"".join(dots)}" {style}/>'


def draw(screens, title):
    out, y = [], MARGIN + SIZE
    width = COLUMNS * CELL + 2 * MARGIN
    for i, screen in enumerate(screens):
        if i:
            out.append(f'<path d="M{MARGIN} {y - 4}H{width - MARGIN:.0f}" stroke="#3a3f4b"/>')
            y += LINE
        for line in screen.rstrip("\n").split("\n"):
            for column, text, colour, dim in runs(line):
                x, long = MARGIN + column * CELL, len(text) * CELL
                fade = ' opacity=".5"' if dim else ""
                drawn = shape(text, x, y, colour, fade)
                out.append(
                    drawn
                    or f'<text x="{x:.1f}" y="{y}" textLength="{long:.1f}" fill="{colour}"{fade}>'
                    f"{html.escape(text).replace(' ', chr(0xA0))}</text>"
                )
            y += LINE
    height = y - LINE + MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" '
        f'height="{height}" font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
        f'font-size="{SIZE}">\n<title>{html.escape(title)}</title>\n'
        f'<rect width="100%" height="100%" rx="8" fill="{BACK}"/>\n'
    )
    return head + "\n".join(out) + "\n</svg>\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    screens = record(sys.argv[2])
    Path(sys.argv[1]).write_text(draw(screens, f"{sys.argv[2]}: midway, and at the end"))


main()
