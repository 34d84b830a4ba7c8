"""One sentence for every way to get the study file wrong."""

import pytest

from lib.study import StudyError, parse_study
from tests.support.frames import SMALL


def complaint(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        parse_study(text, "s.toml")
    return str(caught.value)


def swap(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


MISTAKES = {
    # unknown keys, at each level
    SMALL + "[evidences]\nbefore = 1\n": "s.toml: unknown key evidences, perhaps evidence is meant.",
    swap('name = "small"', 'name = "small"\nfoo-bar = 1'): (
        "s.toml, [study]: unknown key foo-bar (known: name, title, hypothesis, step_key, task_key, seed_key)."
    ),
    swap('kind = "offline"', 'kind = "offline"\nfolder = "x"'): (
        "s.toml, [source]: unknown key folder (known: kind, entity, project, base_url, path)."
    ),
    swap('expect = "increase"', 'expect = "increase"\ncolour = "#ffffff"'): (
        "s.toml, metric 1: unknown key colour, perhaps color is meant."
    ),
    swap("total_steps", "sweep = 'a'\ntotal_steps"): ("s.toml, task 1: unknown key sweep, perhaps sweep_id is meant."),
    SMALL + "stp = 1\n": "s.toml, task 1: unknown key detach.stp, perhaps step is meant.",
    SMALL + "signal = { key = 'lr', to = 1 }\n": (
        "s.toml, task 1: unknown key detach.signal.to (known: key, falls_to)."
    ),
    SMALL + "randomised = { low = 0.1, high = 0.2, int = 1 }\n": (
        "s.toml, task 1: unknown key detach.randomised.int (known: low, high)."
    ),
    SMALL + "[evidence]\nsettles = 1\n": "s.toml, [evidence]: unknown key settles, perhaps settle is meant.",
    SMALL + "[arms]\nkey = 'r'\nlabel = {}\n": "s.toml, [arms]: unknown key label, perhaps labels is meant.",
    swap("[[metrics]]", "[[metric]]"): (
        "s.toml: unknown key metric, perhaps metrics is meant. (1 more to mend after it.)"
    ),
    # wrong types and values
    swap("= 100_000", '= "100"'): 's.toml, task 1: total_steps must be a whole number, not "100".',
    swap("= 100_000", "= 1e5"): "s.toml, task 1: total_steps must be a whole number, not 100000.0.",
    swap("= 100_000", "= true"): "s.toml, task 1: total_steps must be a whole number, not true.",
    swap("= 100_000", "= 0"): "s.toml, task 1: total_steps must be greater than 0, not 0.",
    swap("= 100_000", "= nan"): "s.toml, task 1: total_steps must be a whole number, not NaN.",
    swap('name = "small"', "name = 5"): "s.toml, [study]: name must be text, not 5.",
    swap('name = "small"', 'name = ""'): 's.toml, [study]: name must not be empty, not "".',
    swap('name = "small"', "name = 2024-01-01"): (
        "s.toml: 2024-01-01 is a date or a time, which no key takes: put quotes around it."
    ),
    swap('name = "small"', 'name = "small"\nstep_key = 5'): (
        "s.toml, [study]: step_key must be a key or a list of keys, not 5."
    ),
    swap('name = "small"', 'name = "small"\nstep_key = []'): (
        "s.toml, [study]: step_key must be a key or a list of keys."
    ),
    swap('name = "small"', 'name = "small"\nstep_key = ["a", 5]'): (
        "s.toml, [study]: step_key must be a key or a list of keys, not 5."
    ),
    swap(
        'family = "reward"', 'family = "score"'
    ): "s.toml, metric 1: family must be 'reward' or 'loss', not \"score\".",
    swap('expect = "increase"', 'expect = "up"'): (
        "s.toml, metric 1: expect must be 'increase' or 'decrease', not \"up\"."
    ),
    swap('expect = "increase"', 'expect = "increase"\nscale = "ln"'): (
        "s.toml, metric 1: scale must be 'linear' or 'log', not \"ln\"."
    ),
    swap('expect = "increase"', 'expect = "increase"\ncolor = "red"'): (
        's.toml, metric 1: color must be a colour such as #1f77b4, not "red".'
    ),
    swap('expect = "increase"', 'expect = "increase"\nsmooth = "yes"'): (
        's.toml, metric 1: smooth must be true or false, not "yes".'
    ),
    swap('kind = "offline"', 'kind = "local"'): (
        "s.toml, [source]: kind must be 'wandb', 'offline' or 'bundle', not \"local\"."
    ),
    swap("[[metrics]]", "[metrics]"): (
        "s.toml: metrics must be a list of tables: write [[metrics]], with two brackets, above each."
    ),
    "source = 'x'\n" + swap('[source]\nkind = "offline"\npath = "wandb"\n', ""): (
        's.toml: source must be a table, not "x".'
    ),
    swap("= 50_000", "= 0.5"): "s.toml, task 1: detach.step must be a whole number, not 0.5.",
    SMALL + "ratio_key = 'r'\nfrozen_when = 5\n": (
        "s.toml, task 1: detach.frozen_when must be a table of config keys, each with a text, a number, true or false."
    ),
    SMALL + "ratio_key = 'r'\nfrozen_when = { a = [1] }\n": (
        "s.toml, task 1: detach.frozen_when must be a table of config keys, each with a text, a number, true or false."
    ),
    SMALL + "signal = { key = 'lr', falls_to = inf }\n": (
        "s.toml, task 1: detach.signal.falls_to must be a finite number, not Infinity."
    ),
    SMALL + "randomised = { low = 0.1, high = 30 }\n": (
        "s.toml, task 1: detach.randomised.high must be less than or equal to 1, not 30."
    ),
    SMALL + "[evidence]\nafter = 'all'\n": 's.toml, [evidence]: after must be "rest" or a number above 0, not "all".',
    SMALL + "[evidence]\nafter = 0\n": 's.toml, [evidence]: after must be "rest" or a number above 0, not 0.',
    SMALL + "[evidence]\nbefore = inf\n": "s.toml, [evidence]: before must be a finite number, not Infinity.",
    SMALL + "[evidence]\nsettle = -1\n": "s.toml, [evidence]: settle must be greater than or equal to 0, not -1.",
    SMALL + "[arms]\nkey = 'r'\nlabels = { '0' = 'unknown' }\n": (
        "s.toml: [arms] labels: 'unknown' is the arm that is not compared; choose another label."
    ),
    SMALL + "[arms]\nkey = 'r'\nlabels = { '0.5' = 'half', '0.50' = 'mid', '1' = 'late' }\n": (
        "s.toml: [arms] labels: '0.5' and '0.50' are one value: give it one label."
    ),
    SMALL + "[arms]\nkey = 'r'\nlabels = { '0.5' = 5 }\n": (
        "s.toml, [arms]: labels must be a table, each value a text in quotes."
    ),
    swap("total_steps", "runs_filter = 'finished'\ntotal_steps"): (
        "s.toml, task 1: runs_filter must be a table, as W&B's own run filters are."
    ),
    swap("total_steps", "sweep_id = 7\ntotal_steps"): (
        "s.toml, task 1: sweep_id must be an id or a list of ids, not 7."
    ),
    # what is missing
    swap('title = "Small"\n', ""): "s.toml, [study]: title is missing.",
    swap("total_steps = 100_000\n", ""): "s.toml, task 1: total_steps is missing.",
    swap('key = "eval/episode_reward"\n', ""): "s.toml, metric 1: key is missing.",
    "": "s.toml: [study] is missing. (3 more to mend after it.)",
    "metrics = []\n" + SMALL[: SMALL.index("[[metrics]]")] + SMALL[SMALL.index("[[tasks]]") :]: (
        "s.toml: metrics needs at least one entry."
    ),
    "tasks = []\n" + SMALL[: SMALL.index("[[tasks]]")]: "s.toml: tasks needs at least one entry.",
    swap('path = "wandb"', ""): "s.toml: [source] kind 'offline' needs path.",
    swap('kind = "offline"', 'kind = "wandb"\nentity = "me"'): "s.toml: [source] kind 'wandb' needs project.",
    # what contradicts itself
    swap("[[tasks]]", '[[metrics]]\nkey = "eval/episode_reward"\nfamily = "loss"\nexpect = "decrease"\n[[tasks]]'): (
        "s.toml: metric 'eval/episode_reward' is named twice."
    ),
    swap(
        'expect = "increase"\n',
        'expect = "increase"\nlabel = "a"\n[[metrics]]\nkey = "a"\nfamily = "loss"\nexpect = "decrease"\n',
    ): ("s.toml: metrics 'eval/episode_reward' and 'a' have the same label 'a': give one of them a label of its own."),
    SMALL + '[[tasks]]\nname = "acrobot-swingup"\ntotal_steps = 5\n': (
        "s.toml: task 'acrobot-swingup' is named twice: give one of them an id of its own."
    ),
    swap("= 50_000", "= 100_001"): (
        "s.toml: task 'acrobot-swingup': detach step 100,001 is beyond total_steps 100,000."
    ),
    SMALL.replace("step = 50_000\n", "")
    + "frozen_when = { a = 1 }\n": "s.toml: task 'acrobot-swingup': detach.frozen_when needs step, ratio_key or detach_step_key.",
    SMALL + "randomised = { low = 0.1, high = 0.2 }\n": (
        "s.toml: task 'acrobot-swingup': detach.randomised needs ratio_key or detach_step_key, where each run's draw is read."
    ),
    SMALL + "ratio_key = 'r'\nrandomised = { low = 0.2, high = 0.2 }\n": (
        "s.toml: task 'acrobot-swingup': detach.randomised needs low below high."
    ),
    # what is no study at all
    '{"study": 1}': "s.toml is not TOML: Invalid statement (at line 1, column 1).",
    SMALL + "[study]\n": "s.toml is not TOML: Cannot declare ('study',) twice (at line 21, column 7).",
    "a = " + "9" * 5_000: "s.toml is not a study: a number or a list in it is beyond all measure.",
    "a = " + "[" * 100_000: "s.toml is not a study: a number or a list in it is beyond all measure.",
}


@pytest.mark.parametrize("text", MISTAKES, ids=list(MISTAKES.values()))
def test_one_sentence_says_what_is_wrong_and_where(text):
    assert complaint(text) == MISTAKES[text]


def test_a_detach_at_the_last_step_and_ids_that_tell_tasks_apart_are_fine():
    assert parse_study(swap("= 50_000", "= 100_000")).tasks[0].detach.step == 100_000
    twice = parse_study(SMALL + '[[tasks]]\nid = "other"\nname = "acrobot-swingup"\ntotal_steps = 5\n')
    assert [t.key for t in twice.tasks] == ["acrobot-swingup", "other"]


def test_a_byte_order_mark_is_no_mistake():
    assert parse_study("\ufeff" + SMALL) == parse_study(SMALL)
