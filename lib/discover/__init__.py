"""From addresses, a folder or a bundle to a proposed study."""

from lib.discover.address import WandbAddress
from lib.discover.choose_metrics import preselected, suggestions
from lib.discover.find_keys import DETACH_STEP, OPTIONAL, RATIO, STEP, TASK, Choices, Finding, find_keys
from lib.discover.key_names import Suggestion
from lib.discover.local_runs import inspect_bundle, inspect_folder
from lib.discover.model import Inspection
from lib.discover.pasted_text import folder_of, parse_addresses
from lib.discover.preview import arms, preview
from lib.discover.propose import Proposal, propose
from lib.discover.sentence import sentence
from lib.discover.server_runs import inspect_server, server_at, study_at
