"""What is asked: a study with its tasks, metrics, source and detach rules, and its TOML file."""

from lib.study.edits import (
    changed_parts,
    parts_after_looking,
    set_after_looking,
    task_messages,
    text_message,
    with_edits,
)
from lib.study.errors import InputError, StudyError
from lib.study.files import check_file, is_folder, read_file, written_path
from lib.study.model import (
    CONTROL,
    DETACHED,
    FAMILIES,
    STRICT,
    UNKNOWN,
    Baseline,
    DetachRule,
    Evidence,
    Metric,
    Signal,
    Source,
    Study,
    Task,
)
from lib.study.parts import keys_of, part_of
from lib.study.paths import (
    local_paths,
    with_absolute_paths,
    with_baselines,
    with_path,
    with_paths,
    with_source,
    without_folders,
)
from lib.study.toml import MAX_STUDY, STUDIES, load_study, parse_study, shipped_studies, to_toml
from lib.study.values import (
    NUMBER_PATTERN,
    as_number,
    config_number,
    config_value,
    flat_config,
    has_config_key,
    plain_value,
    same_value,
    value_text,
)
