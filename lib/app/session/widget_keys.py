"""The keys of the app's widgets. Those kept in the page's address are its query parameters, and must not change."""

from collections.abc import Mapping
from typing import Any

# ---- in the address
STUDY, TASK = "study", "task"
#: The tasks (by title) and the metrics (by name) to show; patterns may stand among them.
TASKS, METRICS = "only", "metrics"
AGGREGATE, SPREAD, X_AXIS = "aggregate", "spread", "x"
WINDOW, RAW = "window", "raw"
SEEDS, COLOR, EXACT = "seeds", "color", "exact"
FROM, TO = "from", "to"
LOG_REWARD, LOG_LOSS = "log_reward", "log_loss"
ARMS, LEFT_OUT = "arms", "out"
LAYOUT = "layout"
BEFORE, REST, AFTER, SETTLE = "before", "rest", "after", "settle"
QUADRANT_REWARD, QUADRANT_LOSS = "quadrant_reward", "quadrant_loss"
EFFECT_METRIC, EVENT_METRIC = "effect_metric", "event_metric"
FOLLOW = "live"
PLAN_METRIC, PLAN_SPREAD, PLAN_TARGET = "plan_metric", "plan_spread", "plan_target"
PLAN_CHANGE, PLAN_DESIGNS, PLAN_CORRECTED = "plan_change", "plan_designs", "plan_corrected"
#: The typed spread has one for each design, which it ends in.
PLAN_ARM, PLAN_TYPED = "plan_arm", "plan_typed"
#: No widget: the open study itself, where strangers are.
SAVED = "saved"

#: What a view is made of: what a study's views with a name keep.
VIEW = (
    TASKS, METRICS, ARMS, X_AXIS, SPREAD, WINDOW, AGGREGATE, FROM, TO, SEEDS, COLOR, RAW, LOG_REWARD, LOG_LOSS, EXACT,
    LEFT_OUT, LAYOUT,
)  # fmt: skip
#: What each is where nobody chose: then it is in no address.
AT_FIRST: Mapping[str, Any] = {
    TASKS: [], METRICS: [], ARMS: [], X_AXIS: "steps", SPREAD: "std", WINDOW: "own", AGGREGATE: "mean", FROM: None, TO: None,
    SEEDS: False, COLOR: "nothing", RAW: False, LOG_REWARD: False, LOG_LOSS: True, EXACT: False, LEFT_OUT: [],
    LAYOUT: "Stacked",
}  # fmt: skip
#: The windows of the evidence: what each is at first is the study's.
EVIDENCE = (BEFORE, REST, AFTER, SETTLE)
#: Those that name parts of one study.
OF_STUDY = (TASKS, METRICS, ARMS, LEFT_OUT)
#: Numbers that may be empty.
CLEARABLE = (FROM, TO)

# ---- in the session only
EVENT_UNIT = "event_unit"
MORE, WINDOWS = "more", "windows"
STUDY_MENU, VIEWS, VIEW_NAME = "study_menu", "views", "view_name"
RUNS_TABLE = "runs_table"
PLAN_START, PLAN_SIZE, PLAN_DECLARE = "plan_start", "plan_size", "plan_declare"
MATRIX = "matrix"
FIRST_FETCH, FETCH_NEW, FETCH_ALL, STOP_FETCH, RETRY = "first_fetch", "fetch_new", "fetch_all", "stop_fetch", "retry"
DEADLINE = "deadline"
BASELINE_TASK, BASELINE_UPLOAD, BASELINE_ADD = "baseline_task", "baseline_upload", "baseline_add"
BASELINE_SCALE = "baseline_scale"
EXPORT, EXPORT_FIGURE, EXPORT_TASK, EXPORT_METRIC = "export", "export_figure", "export_task", "export_metric"
EXPORT_DRAWING, EXPORT_FORMAT, EXPORT_PRESET = "export_drawing", "export_format", "export_preset"
EXPORT_SCALE, EXPORT_FOOTER = "export_scale", "export_footer"
EXPORT_TABLE, EXPORT_TABLE_FORMAT = "export_table", "export_table_format"
SHARE, SHARE_CLAIM, SHARE_CITATION = "share", "share_claim", "share_citation"
STUDY_UPLOAD, STUDY_TEXT = "study_upload", "study_text"
EDIT_FORM, TEXT_PANEL = "edit_form", "text_panel"
BUILD_ADDRESS, BUILD_KEY, BUILD_LIST, BUILD_STOP = "build_place", "build_key", "build_look", "build_stop"
BUILD_OTHER_KEY, BUILD_OPEN_FILE, BUILD_PROPOSE = "build_other_key", "build_open_file", "build_propose"
