"""Where runs come from: a W&B server, a folder of .wandb files or a bundle, all behind `fetch`."""

from lib.sources.bundle import bundled_study, write_bundle
from lib.sources.cloud.client import DEFAULT_SERVER, Client, resolve_key, server_of
from lib.sources.cloud.fetch import stored
from lib.sources.cloud.history import RunPath, brought
from lib.sources.cloud.http import Failed, Stopped, Watch, Wire
from lib.sources.cloud.limits import Room
from lib.sources.cloud.parquet import STEP
from lib.sources.fetch import fetch
from lib.sources.request import Progress, Request, SourceError, Unreachable
from lib.sources.wandb_log import Log, read_log

__all__ = [
    "DEFAULT_SERVER",
    "STEP",
    "Client",
    "Failed",
    "Log",
    "Progress",
    "Request",
    "Room",
    "RunPath",
    "SourceError",
    "Stopped",
    "Unreachable",
    "Watch",
    "Wire",
    "brought",
    "bundled_study",
    "fetch",
    "read_log",
    "resolve_key",
    "server_of",
    "stored",
    "write_bundle",
]
