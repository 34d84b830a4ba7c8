"""How long `import lib` takes, and opening the demo: CPU time of fresh processes, the least of several.

python -m benchmarks.notebook [--times 5]
"""

import argparse
import json
import subprocess
import sys

STEPS = {
    "import lib": "import lib",
    'lib.open_study("demo")': "study = lib.open_study('demo')",
    'study.chart("acrobot-swingup", "reward")': "study.chart('acrobot-swingup', 'reward')",
    "study.effects()": "study.effects()",
}
PROGRAM = """
import json, sys, time
times = []
for step in json.loads(sys.argv[1]):
    began = time.process_time()
    exec(step)
    times.append(time.process_time() - began)
print(json.dumps(times))
"""


def times() -> list[float]:
    """The seconds of each step in a process of their own."""
    command = [sys.executable, "-c", PROGRAM, json.dumps([*STEPS.values()])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Print the least of each step in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    rows = zip(*(times() for _ in range(parser.parse_args().times)), strict=True)
    for step, seconds in zip(STEPS, rows, strict=True):
        print(f"{step:42} {1000 * min(seconds):8.1f} ms")


if __name__ == "__main__":
    main()
