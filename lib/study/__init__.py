"""What is asked: a study with its tasks, metrics, source and detach rules, and its TOML file."""

from lib.study.edits import edited, task_complaints, text_complaint
from lib.study.errors import InputError, StudyError
from lib.study.model import CONTROL, DETACHED, Baseline, DetachRule, Evidence, Metric, Signal, Source, Study, Task
from lib.study.paths import placed, with_baselines, with_source, without_folders
from lib.study.toml import STUDIES, load_study, parse_study, shipped_studies, to_toml

__all__ = [
    "CONTROL",
    "DETACHED",
    "STUDIES",
    "Baseline",
    "DetachRule",
    "Evidence",
    "InputError",
    "Metric",
    "Signal",
    "Source",
    "Study",
    "StudyError",
    "Task",
    "edited",
    "load_study",
    "parse_study",
    "placed",
    "shipped_studies",
    "task_complaints",
    "text_complaint",
    "to_toml",
    "with_baselines",
    "with_source",
    "without_folders",
]
