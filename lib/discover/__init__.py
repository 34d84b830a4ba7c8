"""From an address, a folder or a bundle to a proposed study."""

from lib.discover.address import Looked, parse_place
from lib.discover.find_keys import OPTIONAL, RATIO, STEP, TASK, Choices, Finding, find_keys
from lib.discover.inspection import look_bundle, look_cloud, look_folder, server_at, study_at
from lib.discover.key_names import Suggested, preselected
from lib.discover.propose import Proposal, arms, preview, propose, suggestions

__all__ = [
    "OPTIONAL",
    "RATIO",
    "STEP",
    "TASK",
    "Choices",
    "Finding",
    "Looked",
    "Proposal",
    "Suggested",
    "arms",
    "find_keys",
    "look_bundle",
    "look_cloud",
    "look_folder",
    "parse_place",
    "preselected",
    "preview",
    "propose",
    "server_at",
    "study_at",
    "suggestions",
]
