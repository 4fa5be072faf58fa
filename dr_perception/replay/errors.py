"""What a user can get wrong about a recording."""

from dr_perception.core.errors import PerceptionError


class BagError(PerceptionError):
    """A recording that is missing, damaged, or holds nothing that can be used."""


class TopicError(PerceptionError):
    """A topic that is not there, or a choice among several that is the user's to make."""


class OutputError(PerceptionError):
    """A place where nothing can be written."""
