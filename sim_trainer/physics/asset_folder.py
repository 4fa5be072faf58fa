"""Where the models that come with PyBullet lie."""

from __future__ import annotations

from pathlib import Path


def asset_folder() -> Path | None:
    """The folder of pybullet_data; None where that package is not installed."""
    try:
        import pybullet_data
    except ImportError:
        return None
    return Path(pybullet_data.getDataPath())
