"""`python -m models.goldens FOLDER`: write the goldens."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.goldens.write import write


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m models.goldens", description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("tests/infer/goldens"), help="where to (default: %(default)s)"
    )
    write(parser.parse_args().folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
