"""How much two colours differ for every kind of colour vision."""

from functools import cache

import numpy as np

#: What protanopes, deuteranopes and tritanopes see of linear RGB: Machado, Oliveira and Fernandes (2009), "A
#: Physiologically-based Model for Simulation of Color Vision Deficiency", severity 1.0.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
#: Linear RGB to cone responses and these, as cube roots, to Oklab: Ottosson (2020), "A perceptual color space for image
#: processing".
_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
_OKLAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip


def _linear(color: str) -> np.ndarray:
    """A colour (#rrggbb) in linear RGB."""
    levels = np.array([*bytes.fromhex(color[1:])]) / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


@cache
def _seen(color: str, vision: str) -> np.ndarray:
    """A colour (#rrggbb) in Oklab, as it is seen."""
    return _OKLAB @ np.cbrt(_CONES @ np.clip(VISIONS[vision] @ _linear(color), 0, 1))


def contrast(color: str, other: str) -> float:
    """The contrast of two colours (#rrggbb) by WCAG 2.2: 1 to 21."""
    darker, lighter = sorted(float(_linear(name) @ (0.2126, 0.7152, 0.0722)) for name in (color, other))
    return (lighter + 0.05) / (darker + 0.05)


def difference(color: str, other: str) -> float:
    """The distance of two colours (#rrggbb) in Oklab, times 100, for the vision that tells them apart least.

    Black and white differ by 100; two colours by 2 are barely told apart where they touch.
    """
    return min(100 * float(np.linalg.norm(_seen(color, vision) - _seen(other, vision))) for vision in VISIONS)
