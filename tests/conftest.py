"""The configuration of all tests."""

import os
import signal

from hypothesis import settings

# A busy machine is slow: no generated test has a deadline.
settings.register_profile("cruddur", deadline=None, print_blob=True)
settings.load_profile("cruddur")

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

pytest_plugins = ["tests.engines.fixtures", "tests.report", "tests.templates.fixtures"]


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes of the tests: a background run inherits that the signal is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
