"""`python -m tests.faults`: the fault suite; the last line of each fault is JSON."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from tests.faults.scenarios import FAULTS
from tests.faults.suite import run_fault
from tests.services.cache import Unobtainable
from tests.services.process import end_strays


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(FAULTS), help="this fault (may be repeated)")
    parser.add_argument("--records", type=int, help="events to send (default: by fault)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="the same faults for a shorter time")
    parser.add_argument("--demo-models", action="store_true", help="the bundled models instead of known answers")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the workers' logs there")
    args = parser.parse_args()
    if args.logs:
        args.logs.mkdir(parents=True, exist_ok=True)
    end_strays()
    failed = 0
    always = ("--demo-models",) if args.demo_models else ()
    for name in args.only or FAULTS:
        print(f"faults: {name}", file=sys.stderr, flush=True)
        try:
            job = run_fault(name, args.records, args.seed, quick=args.quick, logs=args.logs, always=always)
            result = asyncio.run(job)
        except Unobtainable as error:
            print(f"faults: {error}", file=sys.stderr)
            return 1
        print(result.line(), flush=True)
        failed += not result.passed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
