"""Ways to damage bytes, text and JSON trees: the same seed gives the same damage."""

import json
import random
from typing import Any

#: Values that programs seldom expect where a number, a text or a table should be.
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 10**40, -(10**40), 1e308, -1e308, 5e-324, float("nan"), float("inf"),
    "", " ", "x", "nan", "1e999", "9" * 5000, "\ud800", "\x00", "a\nb", "../../etc/passwd", "=1+1", "<script>", "$x$", "é" * 300,
    [], [[]], {}, [None], {"a": {"a": {"a": {}}}}, {"value": None}, [1, "a", None], "x" * 5000,
)  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes with a few bits, bytes or stretches changed, cut, doubled or exchanged."""
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        size = len(data)
        if not size:
            return rng.randbytes(rng.randrange(64))
        at, to = sorted((rng.randrange(size), rng.randrange(size)))
        to = min(to, at + rng.choice((1, 4, 16, 256, 4096, size)))
        way = rng.randrange(8)
        if way == 0:
            data = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        elif way == 1:
            data = data[:at] + rng.randbytes(to - at) + data[to:]
        elif way == 2:
            data = data[:at] + data[to:]
        elif way == 3:
            data = data[:to] + data[at:]
        elif way == 4:
            data = data[:at]
        elif way == 5:
            data = data[:at] + bytes(rng.choice((1, 8, 300))) + data[at:]
        elif way == 6:
            data = data[at:to] + data[:at] + data[to:]
        else:
            data = data[:at] + b"\xff" * (to - at) + data[to:]
    return data


def damaged_text(text: str, rng: random.Random, tokens: tuple[str, ...]) -> str:
    """Text with lines or words changed, doubled, removed or replaced by odd ones."""
    lines = text.splitlines()
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(lines)) if lines else 0
        way = rng.randrange(7)
        if way == 0 and lines:
            del lines[at]
        elif way == 1 and lines:
            lines.insert(rng.randrange(len(lines)), lines[at])
        elif way == 2 and lines:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
        elif way == 3:
            lines.insert(at, rng.choice(tokens))
        elif way == 4 and lines and "=" in lines[at]:
            lines[at] = lines[at].partition("=")[0] + "= " + rng.choice(tokens)
        elif way == 5 and lines:
            line = lines[at]
            place = rng.randrange(len(line) + 1)
            lines[at] = line[:place] + rng.choice(tokens) + line[place:]
        elif lines:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines) + "\n"


def damaged_tree(tree: Any, rng: random.Random, changes: int = 1) -> Any:
    """A JSON tree with a value somewhere replaced, removed, renamed or wrapped."""
    tree = json.loads(json.dumps(tree))
    for _ in range(changes):
        places = list(_places(tree))
        if not places:
            return rng.choice(ODD_VALUES)
        parent, key = rng.choice(places)
        way = rng.randrange(5)
        if way == 0 and isinstance(parent, dict):
            del parent[key]
        elif way == 1:
            parent[key] = [parent[key]]
        elif way == 2 and isinstance(parent, dict):
            parent[rng.choice(("", "x", "value", "é", "_wandb"))] = parent.pop(key)
        elif way == 3:
            parent[key] = rng.choice(places)[0] if rng.random() < 0.3 else rng.choice(ODD_VALUES)
            if _is_circular(tree):
                parent[key] = None
        else:
            parent[key] = rng.choice(ODD_VALUES)
    return tree if rng.random() > 0.02 else rng.choice(ODD_VALUES)


def _places(tree: Any) -> Any:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(items):
        yield tree, key
        yield from _places(value)


def _is_circular(tree: Any) -> bool:
    try:
        json.dumps(tree)
    except (ValueError, RecursionError):
        return True
    return False
