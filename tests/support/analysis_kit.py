"""One task's analysis, of fork pairs, arms or runs on a line."""

from tests.support.effects_kit import Run, analysed, steps_run

AFTERS = ((11, 10), (22, 20), (33, 30))


def fork_runs(metric="reward", every=10):
    return [
        steps_run(f"{seed}", at, float(seed + 1), float(after), metric, every)
        for seed, pair in enumerate(AFTERS)
        for at, after in zip((50, None), pair, strict=True)
    ]


def arm_runs(n=3):
    runs = [steps_run(f"{i}", 50, 10.0 + i, 20.0 + 3 * i) for i in range(n)]
    return runs + [steps_run(f"{i}", None, 50.0 + i, 51.0 + 2 * i) for i in range(n)]


def line_runs(n=3, jump=2.0):
    return [Run(f"{i}", 50, {"reward": [(s, s + (jump + i if s > 50 else 0)) for s in range(101)]}) for i in range(n)]


def task_analysis_of(runs, of=None, evidence=None, **options):
    return analysed(runs, of, evidence, **options).tasks[0]
