"""A compact self-predictive agent whose encoder can be detached part-way through training."""

import os

os.environ.setdefault("MUJOCO_GL", "disabled")  # nothing is rendered, and dm_control looks for a display
