"""What can go wrong with a benchmark through no bug of it."""

from dr_perception.core.errors import PerceptionError


class BenchmarkError(PerceptionError, RuntimeError):
    """The benchmark cannot run as it was asked for; one line with the remedy."""
