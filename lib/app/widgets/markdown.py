"""Text of others where Streamlit reads Markdown: it is shown as it is."""

import re
from pathlib import Path

from lib.app.session.access import is_hosted
from lib.formatting import markdown_text, one_line
from lib.runs import store_root

#: The longest text of others on a page, in signs.
_LONGEST = 2_000
_ROOT = Path(__file__).parents[3]

#: Beginnings of icons, emoji and addresses, which are replaced wherever they stand, escaped or not: only a sign without
#: width within them keeps them as they are.
_REPLACED = re.compile(r":(?=(?:material/)?[\w+-]+:)|(?<=https):(?=//)|(?<=http):(?=//)|(?<=www)(?=\.)|@(?=\w)")
_NO_WIDTH = "\u2060"
_COLOUR = re.compile(r":(?=[\w+-])")  # :red[colours]


def escaped(text: str) -> str:
    """The text as Markdown that shows it in one line, and does nothing else."""
    return _COLOUR.sub(r"\\:", markdown_text(_REPLACED.sub(rf"\g<0>{_NO_WIDTH}", _plain(text))))


def _plain(text: str) -> str:
    """One line, without the folders of a serving machine."""
    if is_hosted():
        for folder, name in ((store_root(), "the store"), (_ROOT, "the app")):
            text = text.replace(str(folder), name)
    return one_line(text, _LONGEST)


def is_web_address(url: str) -> bool:
    """Whether a link of others leads to a page of the web: `javascript:` and `data:` run in the visitor's own."""
    return re.match(r"https?://[^\s/]", url) is not None
