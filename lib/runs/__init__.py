"""Runs and their histories: the history table, the store, each run's detach step and arm, the audit."""

from lib.runs.arms import Treatment, anchor, arm_place, arms_of, of_task, task_treatments, treatments_of, unknown_arms
from lib.runs.atomic import StagedFile, StoreError, put, remove_leftovers, stage, store_errors, temporary_prefix
from lib.runs.configs import Setting, key_words, number_keys, settings
from lib.runs.copies import is_telling, row_counts
from lib.runs.disk_cache import NUMBERS
from lib.runs.duplicates import (
    RUNNING,
    WHOLE,
    common_end,
    counted,
    replicates,
    task_with_duplicates,
    treatments_with_duplicates,
    uncounted,
    with_duplicates,
)
from lib.runs.lineage import RunPart, drop_restarts, join_parts, with_ancestors
from lib.runs.missing_keys import missing_keys, silent_metric_text
from lib.runs.model import REPEATED_STEP, BranchPoint, Drop, Duplicate, Manifest, Problem, Run, manifest_from
from lib.runs.normalise import TIMESTAMP, describe, normalise, numeric, raw_frame
from lib.runs.parallel import GROUP_SIZE, computing_on, cpu_count, each, in_order
from lib.runs.quota import remove_old
from lib.runs.reader import History
from lib.runs.run_file import is_whole, read_extra, read_run, run_file_name, stage_run, write_run
from lib.runs.runs_table import config_differences, count_warned, fork_text, runs_table, unusable_points
from lib.runs.saved_studies import (
    change_saved,
    delete_saved,
    folder_of,
    read_saved,
    rename_saved,
    study_files,
    study_folders,
)
from lib.runs.saved_study import (
    UPLOAD_NAME,
    SavedStudy,
    ViewSetting,
    ViewSettings,
    from_address,
    is_upload,
    parse_saved,
    shipped_paths,
    study_text,
    to_address,
)
from lib.runs.schema import HISTORY, LARGEST, Points, is_finite, is_positive, points_of
from lib.runs.spacings import SPACING, MedianSpacing, spacing_counts
from lib.runs.spool import open_spool
from lib.runs.store import Usage, clear, project_folder, usage, writing
from lib.runs.store_root import SCHEMA_VERSION, store_root
from lib.runs.typed_step import dropped_text, overridden_text, with_typed_step
