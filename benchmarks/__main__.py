"""All benchmarks, one after the other: `make bench`. Each prints ratios measured side by side in its own run."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

NEEDS_ARGUMENTS = {"semantic_quality"}


def main() -> None:
    """Runs every module of this folder that needs no arguments."""
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        if path.stem in NEEDS_ARGUMENTS:
            continue
        print(f"\n== benchmarks.{path.stem}", flush=True)
        sys.argv = [str(path)]
        runpy.run_module(f"benchmarks.{path.stem}", run_name="__main__")


if __name__ == "__main__":
    main()
