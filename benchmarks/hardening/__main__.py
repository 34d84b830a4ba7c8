"""Try damaged, hostile and endless inputs of every kind.

python -m benchmarks.hardening                 # about 12 minutes on two cores; writes benchmarks/results/hardening.md
python -m benchmarks.hardening --share 0.01    # a hundredth of the cases, nothing written
python -m benchmarks.hardening --kinds bundles --seeds 17 18    # these cases alone

Exit 1 where a case ended in a traceback, a hang, wrong numbers or a refusal of several lines.
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from benchmarks.hardening.cases import Kind, Tally, try_all
from benchmarks.hardening.files import baseline_csv, bundle_file, study_file, wandb_file
from benchmarks.hardening.growing import growing_file, large_baseline, large_bundle, large_log
from benchmarks.hardening.servers import BEHAVIOURS, hostile_answer, slow_server
from benchmarks.hardening.stores import flipped_bit, killed_fetch

RESULT = Path(__file__).parents[1] / "results" / "hardening.md"
KINDS = (
    Kind("mutated .wandb files", wandb_file, 5000),
    Kind("mutated study files", study_file, 5000),
    Kind("mutated bundles", bundle_file, 2000),
    Kind("mutated baseline CSVs", baseline_csv, 5000),
    Kind("small uploads that grow", growing_file, 8, 240.0, is_alone=True),
    Kind("bundles just under the bounds", large_bundle, 3, 240.0, is_alone=True, memory=1_500),
    Kind("baselines just under the bounds", large_baseline, 2, 240.0, is_alone=True, memory=500),
    Kind("`.wandb` files just under the bounds", large_log, 1, 240.0, is_alone=True, memory=4_000),
    Kind("hostile server answers", hostile_answer, 600, 25.0),
    Kind("slow or endless servers", slow_server, 2 * len(BEHAVIOURS), 25.0, is_alone=True),
    Kind("fetches killed", killed_fetch, 30, 60.0),
    Kind("bits flipped in the store", flipped_bit, 200, 30.0),
)


def table(tallies: list[Tally]) -> str:
    """The outcomes as Markdown."""
    lines = [
        "| kind | cases | read | refused | tracebacks | hangs | wrong | several lines | over 400 MB "
        "| longest, s | peak, MB | total, s |",
        "| --- | " + "--- | " * 11,
    ]
    for t in tallies:
        words = ("read", "refused", "traceback", "hang", "wrong", "long", "large")
        counts = [len(t.outcomes), *(t.count(word) for word in words)]
        lines.append(
            f"| {t.name} | " + " | ".join(map(str, counts)) + f" | {t.longest:.1f} | {t.peak} | {t.seconds:.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run the kinds that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="*", default=[], help="words of the names of kinds; all by default")
    parser.add_argument("--share", type=float, default=1.0, help="the share of the cases")
    parser.add_argument("--seeds", type=int, nargs="*", help="these cases alone")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    tallies = []
    for kind in KINDS:
        if options.kinds and not any(word in kind.name for word in options.kinds):
            continue
        seeds = options.seeds or range(max(1, round(kind.count * options.share)))
        tallies.append(try_all(kind, seeds, options.processes))
        print(table(tallies[-1:]).splitlines()[-1], flush=True)
        _print_bad(tallies[-1])
    text = table(tallies)
    print(text)
    if not options.kinds and not options.seeds and options.share == 1:
        RESULT.write_text(text + "\n")
    return 1 if any(t.bad for t in tallies) else 0


def _print_bad(tally: Tally) -> None:
    """The cases that ended badly, those alike once."""
    alike = Counter((outcome.kind, outcome.message) for outcome in tally.bad)
    for (word, message), count in alike.most_common(40):
        first = next(o.seed for o in tally.bad if (o.kind, o.message) == (word, message))
        print(f"  {word} x {count}, first seed {first}: {message}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
