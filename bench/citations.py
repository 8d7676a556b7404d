"""Work and CPU of the citation filter for answers of 10³ to 10⁷ characters, in one piece and one character a piece.

`work` is what patterns read and what is copied from piece to piece, in characters, over the answer's length: it stays
the same where the filter is linear. CPU is in microseconds for a character. Run from the root: `make bench-citations`.
"""

import argparse
import json
import time

import preceptor.agents.citations
import preceptor.text.verbatim
from tests.agents.growing import FULL_OF, Work, full_of


def measure(kind: str, length: int, *, size: int) -> dict[str, str | int | float]:
    """Pass one answer twice: timed, then counted."""
    written = full_of(kind, length)
    began = time.process_time()
    Work().filter(written, size=size)
    seconds = time.process_time() - began
    work = Work()
    modules = (preceptor.text.verbatim, preceptor.agents.citations)
    plain = preceptor.text.verbatim.look
    for module in modules:
        module.look = work.look
    try:
        counted = work.filter(written, size=size)
    finally:
        for module in modules:
            module.look = plain
    return {
        "full_of": kind,
        "characters": length,
        "piece": size,
        "work": round(counted / length, 2),
        "held": work.most_held,
        "cpu_us": round(seconds / length * 1e6, 2),
    }


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--powers", type=int, nargs="+", default=[3, 4, 5, 6, 7], help="of ten, in characters"
    )
    parser.add_argument("--kinds", nargs="+", choices=[*FULL_OF], default=["spaces", "keys", "prose"])
    parser.add_argument("--json", action="store_true", help="JSON lines")
    args = parser.parse_args()
    for kind in args.kinds:
        for power in args.powers:
            for size in (10**power, 1):
                result = measure(kind, 10**power, size=size)
                if args.json:
                    print(json.dumps(result))
                else:
                    print("  ".join(f"{name}={value}" for name, value in result.items()), flush=True)


if __name__ == "__main__":
    main()
