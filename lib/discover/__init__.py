"""From an address, a folder or a bundle to a proposed study."""

from lib.discover.address import Inspection, parse_address
from lib.discover.find_keys import OPTIONAL, RATIO, STEP, TASK, Choices, Finding, find_keys
from lib.discover.inspection import inspect_bundle, inspect_folder, inspect_server, server_at, study_at
from lib.discover.key_names import Suggestion, preselected
from lib.discover.propose import Proposal, arms, preview, propose, suggestions
