"""The one exception of the bootstrap."""


class BootstrapError(Exception):
    """Something the user has to mend; one line that ends with the remedy."""
