"""Which runs of a comparison go on for long enough, and which ended early or are still running."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.effects.compare.comparison import Exclusion
from lib.effects.compare.units import REACH, RunRows, Windows
from lib.runs import RUNNING, WHOLE, common_end


@dataclass(frozen=True)
class Ends:
    """The runs of a comparison by their ends.

    `whole` are compared; `early` ended before them but could be compared up to their own end; `excluded` says why a run is
    not compared, also of those that ended early.
    """

    whole: tuple[RunRows, ...]
    early: tuple[RunRows, ...]
    excluded: tuple[Exclusion, ...]


def by_ends(runs: Sequence[RunRows], window: Windows, finished_only: bool = False) -> Ends:
    """Sort the runs of both arms: those that end before 0.95 of their common end, or too soon after the detach, are out.

    With `finished_only`, so is every run that is still running, however far it is.
    """
    logged = [run for run in runs if run.facts.last >= 0]
    whole = WHOLE * common_end([(run.facts.end, run.state) for run in logged], window.total)
    excluded = [
        Exclusion(run.run_id, run.seed, run.arm, "logs no usable row", remedy="Log every metric in every run.")
        for run in runs
        if run.facts.last < 0
    ]
    usable, early = [], []
    for run in logged:
        is_running = run.state == RUNNING
        is_short = run.facts.end < whole or (is_running and finished_only)
        reaches = run.facts.end >= run.detach_step + window.reach
        if not is_short and reaches:
            usable.append(run)
            continue
        if is_short and reaches and not is_running:
            early.append(run)
        if is_short and is_running:
            reason, remedy = "still running", "Wait until what is running has finished."
        elif reaches:
            reason, remedy = "ended early", "Rerun what ended early, to the end."
        else:
            is_before = run.facts.end < run.detach_step
            reason = f"ends {'before' if is_before else f'within {REACH:.0%} of training after'} the detach"
            remedy = f"Train on until {REACH:.0%} of training beyond the detach."
        text = f"{reason} (last row at {run.facts.last:,})"
        excluded.append(Exclusion(run.run_id, run.seed, run.arm, text, is_short and not is_running, remedy))
    return Ends(tuple(usable), tuple(early), tuple(excluded))
