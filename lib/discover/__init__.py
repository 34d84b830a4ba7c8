"""From addresses, a folder or a bundle to a proposed study."""

from lib.discover.address import WandbAddress
from lib.discover.choose_metrics import preselected, suggestions
from lib.discover.find_keys import DETACH_STEP, OPTIONAL, RATIO, STEP, TASK, Choices, Finding, find_keys
from lib.discover.inspection import inspect_bundle, inspect_folder, inspect_server, server_at, study_at
from lib.discover.key_names import Suggestion
from lib.discover.model import Inspection
from lib.discover.pasted_text import folder_of, parse_addresses
from lib.discover.preview import arms, preview
from lib.discover.propose import Proposal, propose
from lib.discover.sentence import sentence
