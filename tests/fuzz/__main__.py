"""`python -m tests.fuzz COUNT [SEED]`: fuzzes every parser and writes build/fuzz/fuzz.json; status 1 after a fault."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.running import run

RESULT = Path(__file__).parents[2] / "build" / "fuzz" / "fuzz.json"


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    outcomes = run(count, seed=seed)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    found = {name: asdict(outcome) for name, outcome in outcomes.items()}
    RESULT.write_text(json.dumps({"seed": seed, "count": count, "parsers": found}, indent=1) + "\n")
    for name, outcome in outcomes.items():
        print(f"{name:34} {outcome.inputs:8} inputs, slowest {outcome.slowest_seconds * 1000:7.1f} ms")  # noqa: T201
        for fault in outcome.faults:
            print(f"  {fault}")  # noqa: T201
    return 1 if any(outcome.faults for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
