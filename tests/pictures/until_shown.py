"""Reads what a program writes to its terminal, until a whole change of its view has shown a pattern: PATTERN.

Reads byte by byte, so that what follows stays in the pipe for the next scene.
"""

import os
import re
import sys

# Where a change of the view ends, and what acts on the terminal and shows nothing.
END = b"\x1b[?2026l"
ACTS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")

pattern = re.compile(sys.argv[1], re.MULTILINE)
change = b""
while byte := os.read(0, 1):
    change += byte
    if change.endswith(END):
        if pattern.search(ACTS.sub("", change.decode(errors="replace"))):
            sys.exit(0)
        change = b""
sys.exit("the program is gone and has not shown " + sys.argv[1])
