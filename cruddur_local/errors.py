"""The errors of the local system that a person can fix."""


class LocalSystemError(Exception):
    """The text is one line that says what is wrong, with what value, and what to do."""
