"""`python -m bench NAME …`: one module a figure in the README; each prints JSON lines."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

NAMES = sorted(
    module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if not module.name.startswith("_")
)


def run(argv: list[str]) -> int:
    """Runs `bench.NAME.main(rest)`."""
    if not argv or argv[0] not in NAMES:
        print(f"which one? {', '.join(name for name in NAMES)}", file=sys.stderr)
        return 2
    return int(importlib.import_module(f"bench.{argv[0]}").main(argv[1:]))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
