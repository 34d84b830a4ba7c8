"""What the name of a key says: task, seed or detach; family, scale and label of a metric."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lib.study import Metric

#: Names of config keys by what they hold, the likeliest first; a key in a section (`env.seed`) counts by its end.
TASK = (
    "task", "task_name", "env", "env_id", "env_name", "environment", "gym_id", "game", "env.id", "env.name", "env.task",
    "environment.id", "environment.name", "task.name", "task.id",
)  # fmt: skip
SEED = ("seed", "random_seed", "rng_seed", "env_seed")
TOTAL = (
    "steps", "total_steps", "total_env_steps", "num_env_steps", "total_timesteps", "train_steps", "num_train_steps",
    "max_steps", "num_steps",
)  # fmt: skip
RATIO = ("detach_encoder_ratio", "detach_ratio", "encoder_detach_ratio", "enc_lr_step_ratio")
DETACH_STEP = ("detach_step", "detach_encoder_step", "encoder_detach_step", "freeze_step", "freeze_encoder_step")
#: A ratio of what remains, by its definition, once the encoder's learning rate is scaled by this key to 0.
FROZEN = {"enc_lr_step_ratio": "enc_lr_step_scale"}
#: Words of a config key that may hold a detach ratio or step, and those of other parts of an agent that may be frozen.
_DETACH = {"detach", "detached", "freeze", "freezes", "frozen", "stopgrad"}
_MOMENT = {
    "at",
    "after",
    "fraction",
    "frac",
    "from",
    "portion",
    "ratio",
    "start",
    "step",
    "steps",
    "timestep",
}
_OTHER_PARTS = {"actor", "critic", "decoder", "policy", "q", "reward", "target", "value"}
#: Words of a key that says something else than the environment steps until the detach: other units, its end, its rhythm.
_OTHER_MEANINGS = {
    "block",
    "blocks",
    "end",
    "ends",
    "epoch",
    "epochs",
    "episode",
    "episodes",
    "every",
    "frame",
    "frames",
    "hour",
    "hours",
    "interval",
    "iteration",
    "iterations",
    "k",
    "layer",
    "layers",
    "m",
    "minutes",
    "pct",
    "percent",
    "seconds",
    "stop",
    "until",
    "update",
    "updates",
    "warmup",
}
#: Words beside those of a detach in the key of a flag.
_SWITCH = {"enable", "enabled", "do", "is", "on", "use", "with"}
#: Names of logged keys that may count environment steps.
STEP = (
    "global_step", "env_step", "env_steps", "environment_steps", "total_env_steps", "num_env_steps", "total_steps",
    "timesteps", "total_timesteps", "num_timesteps", "step", "steps", "frames", "num_frames", "total_frames",
)  # fmt: skip
#: Logged keys that fall to 0 where the encoder is frozen.
SIGNAL = re.compile(r"(^|[/._])(enc(oder)?[/._]?(lr|learning_rate)|(lr|learning_rate)[/._]enc(oder)?)$", re.IGNORECASE)

#: The metrics of the original notebook, with its labels.
ORIGINAL = (
    Metric("eval/episode_reward", "reward", "increase", "Eval Episode Reward"),
    Metric("train/episode_reward", "reward", "increase", "Train Episode Reward"),
    Metric("train/consistency_loss", "loss", "decrease", "Train Consistency Loss", "log"),
    Metric("validation_all/consistency_loss", "loss", "decrease", "Val (All) Consistency", "log"),
    Metric("validation_recent/consistency_loss", "loss", "decrease", "Val (Recent) Consistency", "log"),
)

_LOSS = {"consistency", "cost", "error", "errors", "loss", "losses", "mae", "mse", "nll", "regret", "rmse"}
_REWARD = {"ret", "return", "returns", "rew", "reward", "rewards", "score", "scores", "success"}
_CAPITALS = {"fps", "kl", "lr", "mae", "mse", "nll", "pi", "ppo", "q", "rmse", "sac", "td", "td3"}


@dataclass(frozen=True)
class Suggestion:
    """A metric proposed for a logged key, and why; `assumed` where the name or the values do not say it."""

    metric: Metric
    why: str
    assumed: bool


def words(key: str) -> list[str]:
    """The words of a key in lower case: `validation_all/consistencyLoss` has four."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key)
    return [word.lower() for word in re.split(r"[\W_]+", parted) if word]


def label_of(key: str) -> str:
    """A label for a key, as the original notebook writes them: `train/consistency_loss` is Train Consistency Loss."""
    return " ".join(word.upper() if word in _CAPITALS else word.capitalize() for word in words(key)) or key


def title_of(task: str) -> str:
    """A name to read for a task: `humanoid_h1-balance_simple-v0` is Humanoid H1 Balance Simple."""
    return label_of(re.sub(r"[-_]v\d+$", "", task))


def family_of(key: str) -> Literal["reward", "loss"] | None:
    """The family that a key's name tells; a reward_loss is a loss."""
    parts = set(words(key))
    if parts & _LOSS:
        return "loss"
    return "reward" if parts & _REWARD else None


def suggest(key: str, lowest: float | None = None, is_whole: bool = False) -> Suggestion:
    """How to draw a logged key.

    Parameters
    ----------
    lowest : the lowest value seen, None where none was.
    is_whole : whether that is of every logged value, not of last values alone.
    """
    for metric in ORIGINAL:
        if metric.key == key:
            return Suggestion(metric, "as in the original notebook", assumed=False)
    family, label = family_of(key), label_of(key)
    if family == "reward":
        return Suggestion(Metric(key, "reward", "increase", label), "family from its name", assumed=False)
    if family is None:
        return Suggestion(Metric(key, "reward", "increase", label), "its name tells no family", assumed=True)
    sure = is_whole and lowest is not None
    if lowest is None:
        scale, reason = "log", "no value was seen"
    elif lowest > 0:
        scale, reason = "log", f"{'every value is' if is_whole else 'the last values are'} above 0"
    else:
        scale, reason, sure = "linear", f"values go down to {lowest:.4g}", True
    metric = Metric(key, "loss", "decrease", label, scale)  # type: ignore[arg-type]
    return Suggestion(metric, f"family from its name; {scale}: {reason}", assumed=not sure)


def rank(key: str, names: Sequence[str]) -> int:
    """The place of a key among the names that it may have, from 1; 0 where it has none of them."""
    parts = key.lower().replace("/", ".").split(".")
    for name in (".".join(parts), ".".join(parts[-2:]), parts[-1]):
        if name in names:
            return names.index(name) + 1
    return 0


def tells_detach(key: str) -> bool:
    """Whether a config key, by the words of its last part, may hold at which step the encoder was detached."""
    parts = _detach_words(key)
    is_other = bool(parts & _OTHER_PARTS) and not parts & {"enc", "encoder"}
    return bool(parts & _DETACH) and bool(parts & _MOMENT) and not parts & _OTHER_MEANINGS and not is_other


def tells_flag(key: str) -> bool:
    """Whether a config key, by the words of its last part, may say that the encoder was detached."""
    parts = _detach_words(key) - _SWITCH
    is_number = bool(parts & (_MOMENT | _OTHER_MEANINGS))
    return bool(parts & _DETACH) and (len(parts) == 1 or bool(parts & {"enc", "encoder"})) and not is_number


def _detach_words(key: str) -> set[str]:
    """The words of a key's last part; where these say nothing of a detach (`detach.step`), with those of its table."""
    *tables, last = re.split(r"[./]", key)
    parts = set(words(last))
    return parts if parts & _DETACH or not tables else parts | set(words(tables[-1]))
