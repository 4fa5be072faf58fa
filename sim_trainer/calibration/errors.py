"""The error of this room."""

from dr_perception.core.errors import PerceptionError


class CalibrationError(PerceptionError, ValueError):
    """Pictures, boards or marks that give no camera pose: one line with the remedy."""
