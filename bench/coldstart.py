"""Time and peak memory from `preceptor serve` until it answers, beside `python -c 'import agents'`.

Ready is the first 200 of `/livez`: the index is open and the embedding model has embedded a word. `import agents`
is what every program with the Agents SDK pays. Both are medians of several runs, in turn; the first run of each,
which fills the disk cache, is left out.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from service import environment, index_sample_book, memory, started

_PATIENCE = 60.0


def serve_once() -> tuple[float, float]:
    """Seconds until `/livez` answers, and MiB at the peak."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    arguments = ["-m", "preceptor", "serve", "--env", "demo", "--port", str(port)]
    with started(arguments, environment(), stderr=subprocess.DEVNULL) as process:
        while time.perf_counter() - began < _PATIENCE:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=_PATIENCE) as response:
                    if response.status == 200:
                        return time.perf_counter() - began, memory(process.pid, "VmHWM")
            except (urllib.error.URLError, ConnectionError):
                if process.poll() is not None:
                    break
                time.sleep(0.005)
    sys.exit("The service did not become ready; try `preceptor serve --env demo`.")


def import_once() -> tuple[float, float]:
    """Seconds of `import agents` with the interpreter's start, and MiB at the peak."""
    code = "import agents; print(open('/proc/self/status').read())"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    peak = next(line for line in done.stdout.splitlines() if line.startswith("VmHWM:"))
    return seconds, int(peak.split()[1]) / 1024


def measure(runs: int) -> dict[str, Any]:
    """Both in turn."""
    index_sample_book()
    ready: list[tuple[float, float]] = []
    imported: list[tuple[float, float]] = []
    for _ in range(runs + 1):
        imported.append(import_once())
        ready.append(serve_once())
    middle = statistics.median
    result = {
        "bench": "coldstart",
        "runs": runs,
        "ready_s": round(middle(seconds for seconds, _ in ready[1:]), 3),
        "ready_peak_mib": round(middle(mib for _, mib in ready[1:]), 1),
        "import_agents_s": round(middle(seconds for seconds, _ in imported[1:]), 3),
        "import_agents_peak_mib": round(middle(mib for _, mib in imported[1:]), 1),
    }
    result["ratio_s"] = round(result["ready_s"] / result["import_agents_s"], 2)
    return result


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON line")
    args = parser.parse_args()
    result = measure(args.runs)
    if args.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
