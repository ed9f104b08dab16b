"""All benchmarks, one after the other: `make bench`. Each prints ratios measured side by side in its own run.

One alone: `python -m benchmarks.exact_hit`, by the names of the files in this folder.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

NEEDS_ARGUMENTS = {"semantic_quality"}


def main() -> None:
    """Runs every module of this folder that needs no arguments."""
    argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__).parse_args()
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        if path.stem in NEEDS_ARGUMENTS:
            continue
        print(f"\n== benchmarks.{path.stem}", flush=True)
        sys.argv = [str(path)]
        runpy.run_module(f"benchmarks.{path.stem}", run_name="__main__")


if __name__ == "__main__":
    main()
