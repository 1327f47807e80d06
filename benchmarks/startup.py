"""How long `vitruvian --help` takes, and that it, and importing the package, leave torch alone."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from measure import machine, spread

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import vitruvian": ["-c", "import vitruvian"],
    "vitruvian --help": ["-m", "vitruvian", "--help"],
    "vitruvian predict --help": ["-m", "vitruvian", "predict", "--help"],
}
GOAL = 1.0  # seconds, of vitruvian --help


def seconds(command: list[str]) -> float:
    """How long a run of Python takes."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def imports_torch(command: list[str]) -> bool:
    """Whether a run of Python loads torch, by its own list of what it imports."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True
    )
    return any(line.rpartition("|")[2].strip() == "torch" for line in run.stderr.decode().splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    print(f"{machine()}; seconds: min / median / max over {options.repeats} repeats")
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.repeats):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    for name, command in COMMANDS.items():
        print(f"  {name:26}{spread(times[name])}{'  IMPORTS TORCH' if imports_torch(command) else ''}")
    median = sorted(times["vitruvian --help"])[options.repeats // 2]
    print(f"vitruvian --help in {median:.2f} s (goal {GOAL:g}: {'met' if median < GOAL else 'MISSED'})")


if __name__ == "__main__":
    main()
