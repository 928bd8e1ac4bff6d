"""Draws a terminal's screen, as `tmux capture-pane -e` gives it on standard input, as an SVG: COLUMNS ROWS."""

import io
import sys

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

THEME = TerminalTheme(
    (24, 26, 31),
    (214, 217, 224),
    [(24, 26, 31), (224, 108, 117), (126, 195, 113), (229, 192, 123), (97, 175, 239), (198, 120, 221), (86, 194, 214), (214, 217, 224)],
    [(92, 99, 112), (240, 120, 130), (126, 195, 113), (229, 192, 123), (97, 175, 239), (198, 120, 221), (86, 194, 214), (255, 255, 255)],
)
# Without the title, the buttons and the fonts from the network that rich draws by itself.
FORMAT = """\
<svg class="{unique_id}" viewBox="-12 -12 WIDTH HEIGHT" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect fill="#181a1f" x="-12" y="-12" width="WIDTH" height="HEIGHT" rx="8"/>
<g>
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

columns, rows = int(sys.argv[1]), int(sys.argv[2])
lines = sys.stdin.read().split("\n")[:rows]
console = Console(width=columns, record=True, file=io.StringIO(), color_system="standard", force_terminal=True, legacy_windows=False)
# As one text: tmux says only what changes, also from line to line.
console.print(Text.from_ansi("\n".join(lines)), no_wrap=True, overflow="crop", highlight=False)
# Rich's character cell, and a margin on each side.
width, height = round(columns * 12.2) + 24, round(rows * 24.4) + 24
FORMAT = FORMAT.replace("WIDTH", str(width)).replace("HEIGHT", str(height))
sys.stdout.write(console.export_svg(theme=THEME, code_format=FORMAT, unique_id="screen", title=""))
