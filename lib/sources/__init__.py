"""Where runs come from: a W&B server, a folder of .wandb files or a bundle, all behind `fetch`."""

from lib.sources.bundle import bundled_study, write_bundle, zipped_bundle
from lib.sources.cloud.client import Client
from lib.sources.cloud.fetch import stored
from lib.sources.cloud.history import RunPath, read_history
from lib.sources.cloud.http import HttpClient
from lib.sources.cloud.keys import resolve_key
from lib.sources.cloud.limits import Deadline, DeadlineError, MemoryBudget, RequestError, StopFetch
from lib.sources.cloud.parquet import STEP
from lib.sources.cloud.server_address import DEFAULT_SERVER, server_address, server_of
from lib.sources.fetch import fetch, fetch_or_stored
from lib.sources.request import KeyRefused, Progress, Request, SourceError, Unreachable, tasks_of
from lib.sources.wandb_folder import LocalRun, LocalRuns
from lib.sources.wandb_log import Columns, json_value, read_log
