"""What can go wrong here in a way that a person can mend."""


class LocalSystemError(Exception):
    """The text is one line that says what is wrong, with what value, and what to do."""
