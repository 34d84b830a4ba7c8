"""From a history to effects, verdicts and claims."""

from lib.effects.chart_data import gap_table, jump_fit_table, pair_difference_table, per_run_table, placebo_table
from lib.effects.checklist import Gate, gates
from lib.effects.claim_sentences import claim
from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.compare.designs import Material, material
from lib.effects.detail_table import effects_detail
from lib.effects.effects_table import materials, study_effects
from lib.effects.power import power_hints
from lib.effects.study_analysis import effect_inputs
from lib.effects.summary import DESCRIPTIVE, MIXED, PARTLY, PARTLY_NOT, answers

__all__ = [
    "ALL_TASKS",
    "DESCRIPTIVE",
    "MIXED",
    "PARTLY",
    "PARTLY_NOT",
    "Gate",
    "Material",
    "answers",
    "claim",
    "effect_inputs",
    "effects_detail",
    "gap_table",
    "gates",
    "jump_fit_table",
    "material",
    "materials",
    "pair_difference_table",
    "per_run_table",
    "placebo_table",
    "power_hints",
    "study_effects",
]
