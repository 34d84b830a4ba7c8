"""The colours of verdicts, the same wherever a verdict is shown."""

from typing import Literal

from lib.effects import JUMP_SHOWN, MIXED, PARTLY, PARTLY_NOT

Color = Literal["blue", "orange", "violet", "gray"]
#: As in the charts of effects: told apart by every kind of colour vision. What was not shown has no colour.
COLORS: dict[str, Color] = {
    "supported": "blue",
    PARTLY: "blue",
    "equivalent": "blue",
    "no worse": "blue",
    "contradicted": "orange",
    PARTLY_NOT: "orange",
    "worse": "orange",
    MIXED: "orange",
    JUMP_SHOWN: "violet",
    "not shown": "gray",
    "cannot say": "gray",
}
