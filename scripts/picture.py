#!/usr/bin/env python3
"""Takes the picture of the README from the running program: three real sessions in tmux, one of their screens as SVG.

    scripts/picture.py PROGRAM PICTURE.svg

Nothing leaves the machine: the three meet on loopback. Needs tmux, and nothing that does not come with Python.
"""

import html
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

COLUMNS, ROWS = 100, 28
CELL_WIDTH, CELL_HEIGHT, MARGIN, SIZE = 8.4, 17, 14, 14
BACKGROUND, FOREGROUND = "#16181d", "#d7dae0"
# The sixteen colours of a terminal: dim ones, then bright ones.
PALETTE = ["#3b4048", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4"]
PALETTE += ["#7f848e", "#ff7b86", "#b5e890", "#ffd68a", "#7cc4ff", "#dc9bf2", "#6fd3e0", "#ffffff"]
PATIENCE = 20


class Terminals:
    """A tmux server of its own."""

    def __init__(self, folder):
        self.socket = str(folder / "tmux")
        configuration = folder / "tmux.conf"
        configuration.write_text("set -g status off\nset -s escape-time 0\nset -g default-terminal tmux-256color\n")
        self.base = ["tmux", "-u", "-S", self.socket, "-f", str(configuration)]

    def tmux(self, *arguments):
        return subprocess.run([*self.base, *arguments], check=True, capture_output=True, text=True).stdout

    def open(self, name, *command):
        self.tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-s", name, *command)

    def types(self, name, text):
        self.tmux("send-keys", "-t", name, "-l", "--", text)

    def presses(self, name, key):
        self.tmux("send-keys", "-t", name, key)

    def screen(self, name, *options):
        return self.tmux("capture-pane", "-p", *options, "-t", name)

    def shows(self, name, words):
        until = time.monotonic() + PATIENCE
        while words not in (screen := self.screen(name)):
            if time.monotonic() > until:
                sys.exit(f"{name} does not show {words!r}:\n{screen}")
            time.sleep(0.1)


def play(program, folder):
    """Three people meet; the screen of one of them, with its colours."""
    terminals = Terminals(folder)

    def start(name, sound, *verb):
        terminals.open(name, "env", "RESONANCE_NO_DHT=1", "COLORTERM=truecolor", program, *verb, "--name", name, "--no-mdns",
                       "--input", sound, "--output", "null", "--data-dir", str(folder / name))

    try:
        start("Ada", "tone:180", "create")
        terminals.shows("Ada", "Send this link")
        asked = [program, "ctl", "--data-dir", str(folder / "Ada"), "link"]
        told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        link = next(event["link"] for event in map(json.loads, told.splitlines()) if event.get("link"))
        for name, sound in [("Bo", "tone:220"), ("Cy", "silence")]:
            start(name, sound, "join", link)
            terminals.shows("Ada", f"{name} joined")
            terminals.shows(name, "Ada")
        terminals.presses("Ada", "Up")
        terminals.presses("Ada", "Up")
        terminals.types("Ada", ":verify Bo")
        terminals.presses("Ada", "Enter")
        terminals.types("Cy", "m")
        for name, words in [("Bo", "notes are in the pad"), ("Cy", "thanks, I have them open here")]:
            terminals.presses(name, "Enter")
            terminals.types(name, words)
            terminals.presses(name, "Enter")
            terminals.shows("Ada", words)
        terminals.shows("Ada", "✓ verified")
        # Until notices have passed, and the numbers are those of a call that runs.
        time.sleep(10)
        return terminals.screen("Ada", "-e")
    finally:
        subprocess.run([*terminals.base, "kill-server"], capture_output=True, check=False)


def colour(codes):
    """The colour behind 38 or 48, which are gone already."""
    kind = codes.pop(0)
    if kind == 2:
        return "#%02x%02x%02x" % (codes.pop(0), codes.pop(0), codes.pop(0))
    number = codes.pop(0)
    if number < 16:
        return PALETTE[number]
    if number >= 232:
        return "#%02x%02x%02x" % ((8 + 10 * (number - 232),) * 3)
    level = [0, 95, 135, 175, 215, 255]
    number -= 16
    return "#%02x%02x%02x" % (level[number // 36], level[number // 6 % 6], level[number % 6])


def styled(style, codes):
    """The style after a sequence that sets it."""
    style = dict(style)
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = {}
        elif code in (1, 2, 4, 7):
            style[code] = True
        elif code == 22:
            style.pop(1, None), style.pop(2, None)
        elif code in (24, 27):
            style.pop(code - 20, None)
        elif code in (38, 48):
            style[code] = colour(codes)
        elif code in (39, 49):
            style.pop(code - 1, None)
        elif 30 <= code <= 37 or 40 <= code <= 47:
            style[code // 10 * 10 + 8] = PALETTE[code % 10]
        elif 90 <= code <= 97 or 100 <= code <= 107:
            style[38 if code < 100 else 48] = PALETTE[8 + code % 10]
    return style


def runs(line, style):
    """Pieces of a line with their style, and the style that the next line begins with."""
    pieces = []
    for part in re.split(r"(\x1b\[[0-9;:]*m)", line):
        if part.startswith("\x1b["):
            style = styled(style, [int(code or 0) for code in re.split("[;:]", part[2:-1])])
        elif part:
            pieces.append((part, style))
    return pieces, style


def svg(screen):
    """The picture."""
    width, height = COLUMNS * CELL_WIDTH + 2 * MARGIN, ROWS * CELL_HEIGHT + 2 * MARGIN
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" font-size="{SIZE}"',
        ' font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace">',
        "<title>A session of three on the screen of resonance</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
    ]
    style = {}
    for row, line in enumerate(screen.split("\n")[:ROWS]):
        pieces, style = runs(line, style)
        column, top = 0, MARGIN + row * CELL_HEIGHT
        for text, how in pieces:
            left, cells = MARGIN + column * CELL_WIDTH, len(text)
            column += cells
            front, back = how.get(38, FOREGROUND), how.get(48)
            if how.get(7):
                front, back = back or BACKGROUND, front
            if back:
                drawn.append(f'<rect x="{left:.1f}" y="{top}" width="{cells * CELL_WIDTH:.1f}" height="{CELL_HEIGHT}" fill="{back}"/>')
            if not text.strip():
                continue
            skipped = len(text) - len(text.lstrip())
            text = text.strip()
            more = (' font-weight="bold"' if how.get(1) else "") + (' opacity="0.6"' if how.get(2) else "")
            more += ' text-decoration="underline"' if how.get(4) else ""
            drawn.append(
                f'<text x="{left + skipped * CELL_WIDTH:.1f}" y="{top + 12.5}" textLength="{len(text) * CELL_WIDTH:.1f}"'
                f' lengthAdjust="spacingAndGlyphs" xml:space="preserve" fill="{front}"{more}>{html.escape(text)}</text>'
            )
    return "\n".join([*drawn, "</svg>", ""])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, picture = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        picture.write_text(svg(play(program, pathlib.Path(folder))), encoding="utf-8")


main()
