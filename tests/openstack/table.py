"""Prints the rows of a run as a table: table.py TITLE ROWS.json... ; a row is [case, result, seconds, note]."""
import json
import os
import shutil
import sys
import textwrap


def main():
    title, *files = sys.argv[1:]
    rows = []
    for file in files:
        if os.path.exists(file):
            with open(file) as f:
                rows += json.load(f)
    # On a terminal as wide as it is; in a log wide enough to read.
    width = shutil.get_terminal_size((160, 24)).columns
    first = max([len(row[0]) for row in rows] + [4])
    rest = max(30, width - first - 24)
    print(f"\n{title}\n{'case':<{first}}  {'result':<8}  {'time':>6}  note")
    for case, result, seconds, note in rows:
        lines = textwrap.wrap(" ".join(str(note).split()), rest) or [""]
        print(f"{case:<{first}}  {result:<8}  {seconds:>5.0f}s  {lines[0]}")
        for line in lines[1:]:
            print(" " * (first + 20) + line)
    counts = {result: sum(row[1] == result for row in rows) for result in ("ok", "FAILED", "left out")}
    print(f"{counts['ok']} ok, {counts['FAILED']} failed, {counts['left out']} left out, {sum(row[2] for row in rows):.0f} s")
    return 0 if rows and not counts["FAILED"] else 1


if __name__ == "__main__":
    sys.exit(main())
