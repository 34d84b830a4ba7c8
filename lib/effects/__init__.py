"""From a history to effects, verdicts and claims."""

from lib.effects.chart_data import fit_lines
from lib.effects.checklist import Check, checklist
from lib.effects.claim_sentences import change_texts, claim, shared_reasons
from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.cost_and_gain import cost_and_gain
from lib.effects.detail_table import effects_detail
from lib.effects.effects_table import visible_effects
from lib.effects.encoder import encoder_table, gap_name, is_gap
from lib.effects.family_verdict import MIXED, PARTLY, PARTLY_NOT
from lib.effects.headline import headline
from lib.effects.matrix import MatrixRow, matrix
from lib.effects.plan import (
    CHANGES,
    MOST,
    POWER,
    change_text,
    design_text,
    plan,
    power_curve,
)
from lib.effects.rounding import OF_RANGE, with_sizes
from lib.effects.spread import (
    DESIGNS,
    Pilot,
    across_pilots,
    fixed_step_note,
    pilots,
    pilots_of,
    planned_detach,
    typed_pilot,
)
from lib.effects.study_analysis import StudyAnalysis, TaskAnalysis, analyse
from lib.effects.summary import TITLES, FamilySummary, summary
from lib.effects.verdicts import EXPLORATORY, JUMP_SHOWN, shown_verdict, with_shown_verdicts
from lib.effects.watch import Standing, is_short_of_plan, run_looks, standing
