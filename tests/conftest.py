"""What every kind of test shares."""

import os
import signal

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

pytest_plugins = ["tests.engines.fixtures", "tests.report", "tests.templates.fixtures"]


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: a run in the background of a script has inherited that it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
