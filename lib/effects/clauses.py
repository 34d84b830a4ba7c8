"""The clauses that answers are made of: sizes of changes, on how many tasks, and what they rest on."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import shorten
from typing import Any

from lib.effects.compare import equivalence
from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.family_verdict import (
    COMPARED,
    MIXED,
    PARTLY,
    PARTLY_NOT,
    are_judged,
    family_verdict,
    head,
    margin_head,
    margin_verdict,
)
from lib.effects.rounding import OF_RANGE, Rounding, Size, unit
from lib.effects.verdicts import CANNOT_SAY, CONTRADICTED, JUMP_SHOWN, NOT_SHOWN, SUPPORTED
from lib.formatting import extent, fixed, listing, plural
from lib.study import Study

Row = Mapping[str, Any]

#: What a reason adds: what the runs' numbers are, in parentheses at its end, or why it matters.
_DETAIL = re.compile(r" \([^()]*\)$|(?<=\)): .*$")
#: Intervals in a sentence at most, arms and tasks that are named in one, signs of a reason.
_FEW, _ARMS, _TASKS, _REASON = 3, 3, 2, 90


@dataclass(frozen=True)
class Clauses:
    """The clauses of claims of one role, with the study's names and one rounding."""

    study: Study
    rounding: Rounding

    def sentences(self, rows: Sequence[Row]) -> Iterator[str]:
        """A sentence per kind of comparison: with a control arm, with randomised steps, without either."""
        by_design = {design: [r for r in rows if r["design"] == design] for design in ("onset", "jump", "none")}
        compared = [row for row in rows if row["design"] in COMPARED]
        if compared:
            yield self.by_arm(compared)
        if onsets := by_design["onset"]:
            text = self.claims(onsets, is_aside=bool(compared))
            yield f"{'Randomised' if compared else 'randomised'} detach steps: {text}"
        if jumps := by_design["jump"]:
            yield f"{'Without' if compared or onsets else 'without'} a control arm, jumps at the detach: {self.by_arm(jumps)}"
        if nothing := [row for row in by_design["none"] if row["task"] != ALL_TASKS]:
            yield f"{'Nothing' if len(nothing) < len(rows) else 'nothing'} to compare{_because(nothing)}"

    def by_arm(self, rows: Sequence[Row], is_short: bool = False) -> str:
        """The claims of the only arm, or the arms by what their claims say: `28% lower in early, no fall shown in late`.

        Parameters
        ----------
        is_short : those alone that answer the question, without runs; of several arms without intervals.
        """
        arms = _by_arm(rows)
        if len(arms) == 1:
            return self.claims(head(rows), is_aside=True, with_runs=False) if is_short else self.by_level(rows)
        answers = _heads(rows)
        runs = _runs(answers) if are_judged(answers) and not is_short else ""
        of_verdict = partial(self.of_verdict, with_interval=not is_short)
        return self.arms_by(arms, family_verdict, of_verdict) + (f" ({runs})" if runs else "")

    def arms_by(
        self,
        arms: Mapping[str, Sequence[Row]],
        verdict_of: Callable[[Sequence[Row]], str],
        text_of: Callable[[str, Sequence[Row]], str],
    ) -> str:
        """A clause for the arms that have the same verdict, with their names where they are few."""
        by_verdict: dict[str, list[str]] = {}
        for arm, rows in arms.items():
            by_verdict.setdefault(verdict_of(rows), []).append(arm)
        return ", ".join(
            f"{text_of(verdict, [row for arm in alike for row in arms[arm]])} in "
            + (listing(alike) if len(alike) <= _ARMS else f"{len(alike)} of {len(arms)} arms")
            for verdict, alike in sorted(by_verdict.items(), key=lambda item: _ORDER.index(item[0]))
        )

    def of_verdict(self, verdict: str, rows: Sequence[Row], with_interval: bool = True) -> str:
        """Claims that have this verdict together, in a few words."""
        shown = [row for row in rows if row["verdict"] == SUPPORTED]
        against = [row for row in rows if row["verdict"] == CONTRADICTED]
        answers, sizes = _heads(rows), partial(self.sizes, with_interval=with_interval)
        first = [row for row in answers if row in shown] or shown
        texts = {
            SUPPORTED: lambda: sizes(first),
            PARTLY: lambda: f"partly {sizes(first)}",
            MIXED: lambda: self.mixed(first, against, with_interval),
            PARTLY_NOT: lambda: f"partly {sizes(against)} (not as expected)",
            CONTRADICTED: lambda: f"{sizes(against)} (not as expected)",
            JUMP_SHOWN: lambda: sizes([*shown, *against]),
            NOT_SHOWN: lambda: f"{self.wish(answers)} shown",
        }
        return texts[verdict]() if verdict in texts else "no verdict"

    def mixed(self, shown: Sequence[Row], against: Sequence[Row], with_interval: bool) -> str:
        """Changes as expected, across tasks where these answer, and those that are not, with their tasks."""
        across = " across tasks" if all(row["task"] == ALL_TASKS for row in shown) else ""
        text = f"{self.sizes(shown, with_interval)}{across} but {self.sizes(against, with_interval)}{self.on_tasks(against)}"
        # Lower but higher says it; where metrics are expected to go either way, it does not.
        return f"{text} (not as expected)" if {*map(_direction, shown)} & {*map(_direction, against)} else text

    def on_tasks(self, rows: Sequence[Row]) -> str:
        """The tasks of these claims where the study has several: by name where they are few."""
        titles = {task.key: task.title for task in self.study.tasks}
        names = [titles[key] for key in titles if any(row["task"] == key for row in rows)]
        if len(titles) < 2 or not names:
            return ""
        return f" on {listing(names) if len(names) <= _TASKS else f'{len(names)} of {len(titles)} tasks'}"

    def margin(self, rows: Sequence[Row]) -> str:
        """The margin that these claims share, as it was declared."""
        margins = {self.study.metric(row["metric"]).margin_text for row in rows}
        return margins.pop() if len(margins) == 1 else "the margins"

    def no_worse(self, rows: Sequence[Row]) -> str:
        """What that margin allows: `no worse than 5%`."""
        texts = {self.study.metric(row["metric"]).no_worse_text for row in rows}
        return texts.pop() if len(texts) == 1 else "no worse than the margins"

    def against_margin(self, rows: Sequence[Row], is_short: bool = False) -> str:
        """What claims say to their margins: `no worse than 5% on 2 of 2 tasks: -1 [-3, +2] and +1 [0, +2]`.

        Parameters
        ----------
        is_short : without intervals and runs. Of several metrics there are no intervals: whose they are could not be said.
        """
        phrases = _margin_phrases(self.margin(rows), self.no_worse(rows))
        if len(arms := _by_arm(rows)) > 1:
            first = min(map(margin_verdict, arms.values()), key=_ORDER.index)
            phrases |= {word: word for word in _PLAIN if word != first}
            return self.arms_by(arms, margin_verdict, lambda verdict, _: phrases[verdict])
        answers, parts = margin_head(rows), list[str]()
        says_intervals = not is_short and len({row["metric"] for row in rows}) == 1
        is_share = self.study.metric(rows[0]["metric"]).margin is not None
        for word in _ORDER:
            if not (alike := [row for row in answers if (row["equivalence"] or CANNOT_SAY) == word]):
                continue
            where = _on(alike, answers) if parts else self.where(alike, answers)
            text = f"{word if parts and word in _PLAIN else phrases[word]} {where}".rstrip()
            has_intervals = says_intervals and len(alike) <= _FEW and all(row["change"] is not None for row in alike)
            parts.append(f"{text}: {self.intervals(alike, is_share)}" if has_intervals else text)
        worse = [row for row in rows if row["equivalence"] == equivalence.WORSE]
        if worse and not any(row in answers for row in worse):
            parts.append(f"by task {phrases[equivalence.WORSE]} {_on(worse, rows)}")
        text = ("; " if says_intervals else ", ").join(parts) or f"{phrases[CANNOT_SAY]} without a control arm"
        runs = "" if is_short or not answers else _runs(answers)
        return text + (f" ({runs})" if runs else "")

    def by_level(self, rows: Sequence[Row]) -> str:
        """The claims across tasks, then those of the tasks, which are alone where nothing is judged across tasks."""
        across = [row for row in rows if row["task"] == ALL_TASKS]
        tasks = [row for row in rows if row["task"] != ALL_TASKS]
        if not are_judged(across):
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
        runs = _runs(rows) if with_runs and are_judged(rows) else ""
        return ", ".join(parts) + (f" ({runs})" if runs else "")

    def sizes(self, rows: Sequence[Row], with_interval: bool = True) -> str:
        """Changes that were shown, the interval with one alone: `28% lower [21, 34]`, `26-29% lower`."""
        by_word: dict[tuple[str, str], list[Size]] = {}
        for row in rows:
            size = self.rounding.size(row, self.study.metric(row["metric"]))
            by_word.setdefault((size.mark, _direction(row)), []).append(size)
        return listing(_size_text(mark, word, sizes, with_interval) for (mark, word), sizes in by_word.items())

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

    def intervals(self, rows: Sequence[Row], of_level: bool = False) -> str:
        """Changes with their intervals, `of_level` in percent wherever there is a percent."""
        metrics = [self.study.metric(row["metric"]) for row in rows]
        pairs = [*zip(rows, metrics, strict=True)]
        texts = [self.rounding.change_and_interval(row, metric, of_level) for row, metric in pairs]
        marks = [OF_RANGE if unit(row, metric) == "range" else "" for row, metric in pairs]
        if len({*marks}) == 1:  # said once
            return listing(texts) + marks[0]
        return listing(text + mark for text, mark in zip(texts, marks, strict=True))

    def where(self, some: Sequence[Row], rows: Sequence[Row], count: str = "") -> str:
        """On how many of the tasks, or in how many of the metrics or comparisons."""
        counted = "" if len(rows) == 1 else f"{_ON[_noun(rows)]} {count or len(some)} of {_count(rows)}"
        return " ".join(filter(None, (self.across(rows), counted)))

    def across(self, rows: Sequence[Row]) -> str:
        """Over how many tasks claims across tasks are."""
        methods = [row["method"] or "" for row in rows if row["task"] == ALL_TASKS]
        counts = sorted(int(match[1]) for text in methods if (match := re.search(r"mean over (\d+) tasks", text)))
        return f"across {extent(f'{counts[0]}', f'{counts[-1]}')} tasks" if counts else ""


#: The order in which verdicts are said, those of margins among them.
_ORDER = (
    SUPPORTED, PARTLY, MIXED, PARTLY_NOT, CONTRADICTED, JUMP_SHOWN,
    equivalence.WORSE, equivalence.EQUIVALENT, equivalence.NO_WORSE, NOT_SHOWN, CANNOT_SAY,
)  # fmt: skip
#: Words that need no more beside another answer to the same margin.
_PLAIN = (NOT_SHOWN, CANNOT_SAY)


def _by_arm(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {arm: [row for row in rows if row["arm"] == arm] for arm in dict.fromkeys(row["arm"] for row in rows)}


def _heads(rows: Sequence[Row]) -> list[Row]:
    """The claims of each arm that answer the question."""
    return [row for of_arm in _by_arm(rows).values() for row in head(of_arm)]


def _margin_phrases(margin: str, no_worse: str) -> dict[str, str]:
    return {
        equivalence.WORSE: f"worse by more than {margin}",
        equivalence.EQUIVALENT: f"within {margin} either way",
        equivalence.NO_WORSE: no_worse,
        NOT_SHOWN: f"not shown to be {no_worse}",
        CANNOT_SAY: f"no verdict against {margin}",
    }


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


def _size_text(mark: str, word: str, sizes: Sequence[Size], with_interval: bool) -> str:
    """Sizes in one unit as a range; those in the units of several metrics have none."""
    smallest, *_, largest = sorted([*sizes, sizes[0]], key=lambda size: size.value)
    if len(sizes) == 1:
        return f"{smallest.text}{mark} {word}{f' {smallest.interval}' if with_interval else ''}"
    return f"{_extent(smallest, largest)}{mark} {word}" if mark else word


def _extent(smallest: Size, largest: Size) -> str:
    """Two sizes as a range in the precision of the coarser, unless the smaller one were 0 in it."""
    decimals = min(len(size.text.partition(".")[2]) for size in (smallest, largest))
    low, high = (fixed(size.value, decimals) for size in (smallest, largest))
    return extent(smallest.text, largest.text) if low == "0" else extent(low, high)


def _runs(rows: Sequence[Row]) -> str:
    """What claims of one design rest on: `6 fork pairs each`, `8 against 8 runs`."""
    if len({row["design"] for row in rows}) > 1:
        return ""
    arm, control = (extent(*(f"{f(row[n] for row in rows)}" for f in (min, max))) for n in ("n_arm", "n_control"))
    noun, each = "run", " each" if len({row["task"] for row in rows}) > 1 else ""
    count = f"{arm} against {control}" if rows[0]["design"] == "did" else arm
    noun = "fork pair" if rows[0]["design"] == "fork" else "run"
    return f"{count} {noun}{'' if count.endswith(('-1', ' 1')) or count == '1' else 's'}{each}"


def _because(rows: Sequence[Row]) -> str:
    """The reason that most of these claims without a verdict have."""
    reasons = Counter((row["reasons"] or "").split("; ")[0] for row in rows)
    [(reason, _)] = reasons.most_common(1)
    if reason.startswith("n = ") or len(reason) > _REASON:
        reason = shorten(_DETAIL.sub("", reason), _REASON, placeholder=" …")
    return f" ({reason})" if reason else ""
