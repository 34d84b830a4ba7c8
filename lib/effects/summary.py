"""One answer per family of metrics: its verdict, and how large what stands behind it is, in a line."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import polars as pl

from lib.effects.compare import equivalence
from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.multiple_testing import GUARDRAIL
from lib.effects.rounding import OF_RANGE, Rounding, Size, rounding, unit
from lib.effects.verdicts import CANNOT_SAY, CONTRADICTED, NOT_SHOWN, SUPPORTED, shown_verdict
from lib.formatting import extent, listing, plural
from lib.study import FAMILIES, Study

Row = Mapping[str, Any]

PARTLY = "partly supported"
PARTLY_NOT = "partly contradicted"
MIXED = "mixed"
DESCRIPTIVE = "descriptive"
TITLES = {"reward": "Rewards", "loss": "Losses"}

#: The designs that compare with a control arm; a randomised onset is its own control, a jump has none.
_COMPARED = ("fork", "did")
_EFFECTS = (*_COMPARED, "onset")
#: Intervals in a sentence at most, arms that are told apart in one, signs of a reason.
_FEW, _ARMS, _REASON = 3, 3, 90


@dataclass(frozen=True)
class FamilySummary:
    """What the data say of one family: its verdict in two words, and how much in a sentence or two."""

    family: str
    verdict: str
    text: str

    @property
    def title(self) -> str:
        """The family as a heading."""
        return TITLES[self.family]


def summary(effects: pl.DataFrame, study: Study) -> tuple[FamilySummary, ...]:
    """One line per family: the claims across tasks first, then those of the tasks.

    The headline is about primary metrics; secondary ones and guardrails are said apart.

    Parameters
    ----------
    effects : columns of `lib.effects.effects_table.EFFECTS`, judged.
    """
    clauses = _Clauses(study, rounding(effects, study))
    by_family: dict[str, list[Row]] = {family: [] for family in FAMILIES}
    for row in effects.iter_rows(named=True):
        by_family[study.metric(row["metric"]).family].append(row)
    return tuple(_family(family, rows, clauses) for family, rows in by_family.items() if rows)


def _family(family: str, rows: Sequence[Row], clauses: "_Clauses") -> FamilySummary:
    by_role = {role: [row for row in rows if row["role"] == role] for role in ("primary", "secondary", GUARDRAIL)}
    first = next(role for role, of_role in by_role.items() if of_role)
    if first == GUARDRAIL:
        return FamilySummary(family, _guardrail_verdict(rows), f"guardrails: {_margin_counts(rows)}.")
    is_exploratory = all((row["reasons"] or "").startswith("exploratory") for row in rows)
    sentences = [clauses.no_verdict(_head(rows))] if is_exploratory else [*clauses.sentences(by_role[first])]
    if first == "secondary":
        sentences[0] = f"secondary metrics: {sentences[0]}"
    elif by_role["secondary"]:
        sentences.append(f"Secondary: {_counts(map(shown_verdict, by_role['secondary']))}")
    if any(row["equivalence"] for row in by_role[first]):
        sentences.append(f"Against the margin: {_margin_counts(by_role[first])}")
    if by_role[GUARDRAIL]:
        sentences.append(f"Guardrails: {_margin_counts(by_role[GUARDRAIL])}")
    return FamilySummary(family, _verdict(by_role[first]), f"{'. '.join(sentences)}.")


def _verdict(rows: Sequence[Row]) -> str:
    """The verdict of the claims that answer the question, with "partly" where not all of them have it.

    It is mixed where one claim is supported and another contradicted. Jumps alone are descriptive.
    """
    rows = [row for row in rows if row["design"] in _EFFECTS or row["design"] == "jump"]
    effects = [row for row in rows if row["design"] in _EFFECTS]
    if not effects:
        return DESCRIPTIVE if rows else CANNOT_SAY
    head, every = (Counter(row["verdict"] for row in some) for some in (_head(effects), effects))
    if every[CONTRADICTED] and every[SUPPORTED]:
        return MIXED
    for verdict, partly in ((SUPPORTED, PARTLY), (CONTRADICTED, PARTLY_NOT)):
        if every[verdict]:
            return verdict if head[verdict] == head.total() else partly
    return NOT_SHOWN if every[NOT_SHOWN] else CANNOT_SAY


def _head(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows that answer the study's question: those across tasks, else those with a control arm, else all."""
    compared = [row for row in rows if row["design"] in _COMPARED]
    across = [row for row in compared if row["task"] == ALL_TASKS]
    return next((some for some in (across, compared) if _are_judged(some)), compared or rows)


def _are_judged(rows: Iterable[Row]) -> bool:
    return any(row["verdict"] != CANNOT_SAY for row in rows)


def _guardrail_verdict(rows: Sequence[Row]) -> str:
    words = {row["equivalence"] for row in rows}
    if equivalence.WORSE in words:
        return equivalence.WORSE
    if words == {equivalence.NO_WORSE}:
        return equivalence.NO_WORSE
    return NOT_SHOWN if words - {None} else CANNOT_SAY


def _margin_counts(rows: Sequence[Row]) -> str:
    return _counts(row["equivalence"] or "no verdict" for row in rows)


def _counts(words: Iterable[str]) -> str:
    """How many of each: `2 supported, 1 not shown`."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())


@dataclass(frozen=True)
class _Clauses:
    """The clauses of claims of one role, with the study's names and one rounding."""

    study: Study
    rounding: Rounding

    def sentences(self, rows: Sequence[Row]) -> Iterator[str]:
        """A sentence per kind of comparison: with a control arm, with randomised steps, without either."""
        by_design = {design: [r for r in rows if r["design"] == design] for design in ("onset", "jump", "none")}
        compared = [row for row in rows if row["design"] in _COMPARED]
        if compared:
            yield self.by_arm(compared)
        if onsets := by_design["onset"]:
            text = self.claims(onsets, is_aside=bool(compared))
            yield f"{'Randomised' if compared else 'randomised'} detach steps: {text}"
        if jumps := by_design["jump"]:
            yield f"{'Without' if compared or onsets else 'without'} a control arm, jumps at the detach: {self.by_arm(jumps)}"
        if nothing := [row for row in by_design["none"] if row["task"] != ALL_TASKS]:
            yield f"{'Nothing' if len(nothing) < len(rows) else 'nothing'} to compare{_because(nothing)}"

    def by_arm(self, rows: Sequence[Row]) -> str:
        """The claims of each arm where there are few arms, else of all together."""
        arms = dict.fromkeys(row["arm"] for row in rows)
        if not 1 < len(arms) <= _ARMS:
            return self.by_level(rows)
        return "; ".join(f"{arm}: {self.of_arm([r for r in rows if r['arm'] == arm])}" for arm in arms)

    def of_arm(self, rows: Sequence[Row]) -> str:
        """The claims that answer for an arm, and those of its tasks that contradict what was expected."""
        head = _head(rows)
        against = [row for row in rows if row not in head and row["verdict"] == CONTRADICTED]
        text = self.claims(head)
        return f"{text}, by task {self.sizes(against)} (not as expected) {_on(against, rows)}" if against else text

    def by_level(self, rows: Sequence[Row]) -> str:
        """The claims across tasks, then those of the tasks, which are alone where nothing is judged across tasks."""
        across = [row for row in rows if row["task"] == ALL_TASKS]
        tasks = [row for row in rows if row["task"] != ALL_TASKS]
        if not _are_judged(across):
            return self.claims(tasks)
        if {row["verdict"] for row in rows} == {NOT_SHOWN}:
            parts = self.intervals(tasks) if len(tasks) <= _FEW else f"{_ON[_noun(tasks)]} none of {_count(tasks)}"
        else:
            parts = self.claims(tasks, with_runs=False)
        by_task = "" if re.search(r"\bon .* tasks", parts) else "by task "
        return f"{self.claims(across)}; {by_task}{parts}"

    def claims(self, rows: Sequence[Row], is_aside: bool = False, with_runs: bool = True) -> str:
        """Claims of one kind: `26-29% lower on 2 of 2 tasks, no verdict on 1 (6 fork pairs each)`."""
        by_verdict: dict[str, list[Row]] = {}
        for row in rows:
            by_verdict.setdefault(row["verdict"], []).append(row)
        parts = [
            " ".join(filter(None, (self.sizes(alike), against, self.where(alike, rows))))
            for verdict, against in ((SUPPORTED, ""), (CONTRADICTED, "(not as expected)"))
            if (alike := by_verdict.get(verdict))
        ]
        if unshown := by_verdict.get(NOT_SHOWN):
            parts.append(f"not shown {_on(unshown, rows)}" if parts else self.not_shown(unshown, rows, is_aside))
        if unsaid := by_verdict.get(CANNOT_SAY):
            parts.append(f"no verdict {_on(unsaid, rows)}" if parts else self.no_verdict(unsaid))
        runs = _runs(rows) if with_runs and _are_judged(rows) else ""
        return ", ".join(parts) + (f" ({runs})" if runs else "")

    def sizes(self, rows: Sequence[Row]) -> str:
        """Changes that were shown, the interval with one alone: `28% lower [21, 34]`, `26-29% lower`."""
        by_word: dict[tuple[str, str], list[Size]] = {}
        for row in rows:
            size = self.rounding.size(row, self.study.metric(row["metric"]))
            by_word.setdefault((size.mark, _direction(row)), []).append(size)
        return listing(_size_text(mark, word, sizes) for (mark, word), sizes in by_word.items())

    def not_shown(self, unshown: Sequence[Row], rows: Sequence[Row], is_aside: bool) -> str:
        """What was not shown, with few intervals: `no gain shown: -5 [-17, +6] and +10 [-6, +27]`."""
        has_intervals = len(unshown) <= _FEW and not is_aside
        is_all = len(unshown) == len(rows) and (has_intervals or is_aside)
        where = self.across(rows) if is_all else self.where(unshown, rows, "any" if len(unshown) == len(rows) else "")
        intervals = f": {self.intervals(unshown)}" if has_intervals else ""
        return " ".join(filter(None, (f"{self.wish(unshown)} shown", where))) + intervals

    def no_verdict(self, rows: Sequence[Row]) -> str:
        """Claims that have no verdict, what was observed, and why it is none."""
        changes, observed = [row for row in rows if row["change"] is not None], ""
        if 0 < len(changes) <= _FEW:
            observed = f", observed {self.intervals(changes)}"
        elif changes and len({row["change"] > 0 for row in changes}) == 1:
            observed = f", observed {self.sizes(changes)}"
        return f"no verdict{observed}{_because(rows)}"

    def wish(self, rows: Sequence[Row]) -> str:
        """What was expected and not shown."""
        if rows[0]["design"] == "jump":
            return "none"
        expected = {row["expectation"] for row in rows}
        is_reward = self.study.metric(rows[0]["metric"]).family == "reward"
        word = "change" if len(expected) > 1 else "fall" if "decrease" in expected else "gain" if is_reward else "rise"
        return f"no immediate {word}" if rows[0]["design"] == "onset" else f"no {word}"

    def intervals(self, rows: Sequence[Row]) -> str:
        """Changes with their intervals."""
        metrics = [self.study.metric(row["metric"]) for row in rows]
        texts = [self.rounding.change_and_interval(row, metric) for row, metric in zip(rows, metrics, strict=True)]
        suffix = (
            OF_RANGE if all(unit(row, metric) == "range" for row, metric in zip(rows, metrics, strict=True)) else ""
        )
        return listing(texts) + suffix

    def where(self, some: Sequence[Row], rows: Sequence[Row], count: str = "") -> str:
        """On how many of the tasks, or in how many of the metrics or comparisons."""
        counted = "" if len(rows) == 1 else f"{_ON[_noun(rows)]} {count or len(some)} of {_count(rows)}"
        return " ".join(filter(None, (self.across(rows), counted)))

    def across(self, rows: Sequence[Row]) -> str:
        """Over how many tasks claims across tasks are."""
        tasks = re.search(r"mean over (\d+) tasks", rows[0]["method"] or "") if rows[0]["task"] == ALL_TASKS else None
        return f"across {tasks[1]} tasks" if tasks else ""


_ON = {"task": "on", "metric": "in", "arm": "in", "comparison": "in"}


def _noun(rows: Sequence[Row]) -> str:
    """What these claims differ in."""
    differing = [name for name in ("task", "metric", "arm") if len({row[name] for row in rows}) > 1]
    return differing[0] if len(differing) == 1 else "comparison"


def _count(rows: Sequence[Row]) -> str:
    return plural(len(rows), _noun(rows))


def _on(some: Sequence[Row], rows: Sequence[Row]) -> str:
    return f"{_ON[_noun(rows)]} {len(some)}"


def _direction(row: Row) -> str:
    up, down = ("up", "down") if row["design"] == "jump" else ("higher", "lower")
    return f"{up if row['change'] > 0 else down}{' at once' if row['design'] == 'onset' else ''}"


def _size_text(mark: str, word: str, sizes: Sequence[Size]) -> str:
    """Sizes in one unit as a range; those in the units of several metrics have none."""
    smallest, *_, largest = sorted([*sizes, sizes[0]], key=lambda size: size.value)
    if len(sizes) == 1:
        return f"{smallest.text}{mark} {word} {smallest.interval}"
    return f"{extent(smallest.text, largest.text)}{mark} {word}" if mark else word


def _runs(rows: Sequence[Row]) -> str:
    """What claims of one design rest on: `6 fork pairs each`, `8 against 8 runs`."""
    if len({row["design"] for row in rows}) > 1:
        return ""
    arm, control = (extent(*(f"{f(row[n] for row in rows)}" for f in (min, max))) for n in ("n_arm", "n_control"))
    noun = {"fork": "fork pairs", "did": f"against {control} runs"}.get(rows[0]["design"], "runs")
    each = " each" if len({row["task"] for row in rows}) > 1 else ""
    return f"{arm} {noun if arm != '1' else noun.removesuffix('s')}{each}"


def _because(rows: Sequence[Row]) -> str:
    """The reason that most of these claims without a verdict have."""
    reasons = Counter((row["reasons"] or "").split("; ")[0] for row in rows)
    reason = shorten(reasons.most_common(1)[0][0], _REASON, placeholder=" …")
    return f" ({reason})" if reason else ""
