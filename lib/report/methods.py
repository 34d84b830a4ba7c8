"""How each number is computed, in words, for the pages and the report."""

import polars as pl

from lib.curves import View

SPREADS = {
    "std": "one standard deviation over seeds (ddof 1)",
    "se": "one standard error of the mean",
    "ci": "the 95% t interval of the mean, n - 1 degrees of freedom",
    "minmax": "the lowest and the highest seed",
}
AGGREGATES = {"mean": "mean", "iqm": "interquartile mean", "median": "median"}

DETACH = (
    "A run's detach step comes from its config where the study names the keys and the run has them, else from the study "
    "file; where the two differ, config wins and the run carries a warning. A run whose ratio or step is null or 0, or "
    "missing where others have it, was never detached: the control arm. So is one whose encoder was left alone, by the "
    "study's conditions; one whose encoder was changed but not frozen is an arm of its own. A logged signal, such as the "
    "encoder's learning rate, checks this: it agrees when the step lies between the signal's last row above its resting "
    "value and its first row at it, less than 5% of training apart; in a control it must not change around the steps of "
    "the others. Where nothing else says anything it gives the step: the last row above. A run of which nothing says "
    "whether it was detached is in the arm `unknown`: drawn, never compared."
)

EFFECTS = (
    "Runs are the sample, never rows or episodes, and no run counts twice: copies and runs that a rerun superseded are left "
    "out, and so is what ends before 95% of the common end; each is listed. Each run gives one number before the detach and "
    "one after it: the mean of its raw rows (never binned, never smoothed) in the declared windows, on log values for log "
    "metrics. A row logged exactly at the detach step counts as before. With a control arm the change is a difference "
    "between arms: over fork pairs (runs that are one run up to the detach) a paired t interval, otherwise a difference in "
    "differences with Welch's interval (arms too unequal for it: the same standard error with the smaller arm's n - 1 "
    "degrees of freedom). With randomised detach steps it is an exact onset test. Without either, only the jump at the "
    "detach is tested, and nothing causal is said. Across tasks it is the mean of the tasks' changes, or of their jumps "
    "where none has a control arm, each in units of its task's range. One seed gets no inference, two get no verdict. "
    "Holm's correction runs in families, each of which is wrong in at most 5% of studies: the claims across tasks, and the "
    "claims of all tasks together, for primary and for secondary metrics apart. A guardrail gets no verdict but what is said of "
    "its margin: a margin is held against the change by t tests of one side at 5% (of more than 12.5% at 2.5%), with Holm's "
    "correction too, so that the 95% interval may reach a little beyond a margin that the change keeps; it is worse where the "
    "whole interval lies beyond it."
)

_EFFECT_VERDICTS = (
    "**supported**: the interval excludes 0 in the expected direction, every gate passed and Holm's p is below 0.05. "
    "**contradicted**: the same, in the other direction. "
)
_JUMP_VERDICT = (
    "**jump shown**: without a control arm, the interval of the jump at the detach excludes 0 in either direction, every "
    "gate passed and Holm's p is below 0.05; nothing says what caused it. "
)
_OTHER_VERDICTS = (
    "**not shown**: neither; this never says that nothing happened. **cannot say**: the data do not allow an answer; the "
    "reason is given."
)

ENCODER = (
    "The gap between validation and train loss is their ratio, at each validation row over the train rows since the one before; "
    "that of an encoder that overfits grows. Training speed is environment steps per second of the times that rows were "
    "logged at, over pieces of 0.5% of training; pieces that take over twice as long as those around them (pauses, long "
    "evaluations, clocks that were set), or less than half, are left out, and so is history that a fork logged again. "
    "Both are compared by the design of the claims, without a verdict. The time saved is that of the steps after the detach, "
    "at the speed that the design expects without it; for GPU hours multiply by the GPUs that a run has."
)

AUDIT = (
    "Every run of the study is listed with what is known about it. A run that ends before 95% of its task's total steps is "
    "called short. Values that are no numbers are dropped and counted, as are rows that a resumed or rewound run went back "
    "behind; of a step logged twice the row logged last is kept. NaN and infinities stay in the history and are left out "
    "of curves and claims. A run left out here is left out of every chart, table and export, and the page's address says "
    "so."
)

PLAN = (
    "The power of a design is that of its t test: how often a change of this size is shown where it is there, with runs that "
    "spread as those do that the plan rests on, and reach the end. A change is tested two-sided, a margin on its harmful side "
    "alone, each at 5% (a margin of more than 12.5% at 2.5%); as one of several claims at that divided by their number, which "
    "is the worst that Holm's correction can ask for. A percent is one of the level that the design's claims take: the "
    "controls' after the detach for fork pairs, else that before it. A fork pair takes one run and the part after the detach "
    "of another. Across tasks n is that of each task, and the test is the one across tasks: the mean of the tasks' changes, "
    "each in units of its task's range. Simulated studies have the planned power within a few points where the spread is "
    "known; a plan for 80% that rests on 3 runs has about 65% on average, on 8 runs about 75%: plan with room, and add the "
    "runs that may crash."
)

SOURCES = (
    "Histories are read whole, never sampled, and kept on disk as Parquet, apart for each account. Fetching again brings "
    "only what is new. A key that you enter is kept in this session's memory and sent to the server named beside it, "
    "nowhere else; a study that you open yourself never uses this deployment's key."
)


def verdicts_text(effects: pl.DataFrame) -> str:
    """What the verdicts of these claims mean; `effects` has the columns of effects.csv."""
    jumps = effects["design"] == "jump"
    compared = "" if jumps.all() and len(jumps) else _EFFECT_VERDICTS
    return compared + (_JUMP_VERDICT if jumps.any() else "") + _OTHER_VERDICTS


def curves_text(view: View) -> str:
    """How the curves on screen came about, for these settings."""
    if view.grid == "exact":
        return (
            "The original notebook's arithmetic: mean and sample standard deviation over the seeds logged at exactly that "
            "step (0 where only one is), and a moving average over points for train rewards."
        )
    smoothing = (
        "Train rewards are first smoothed by a trailing moving average over the stated window of environment steps, run by "
        "run, on the metric's own rows and never across the detach. "
        if view.smooth
        else "Nothing is smoothed. "
    )
    x = "at the mean step of the bin's points"
    if view.x == "wall":
        x = (
            "at the mean, over the runs in the bin, of the hours since each run's first timestamp (bins stay bins of steps, "
            "so values are those of every other axis; where only faster runs go on, a line steps back)"
        )
    return (
        f"{smoothing}Each run then gives one value per bin. Bins are counted from the detach step, so that none straddles "
        "it; their width is the metric's median row spacing or a thousandth of the training, whichever is larger. The line "
        f"is the {AGGREGATES[view.aggregate]} over seeds, {x}; the band is "
        f"{SPREADS[view.spread]}. On log metrics the mean is geometric and the band a factor. Where only one seed has a "
        "value there is no band; the strip below each chart is the number of seeds."
    )
