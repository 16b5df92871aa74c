"""What every kind of test shares."""

import signal

pytest_plugins = ["tests.engines.fixtures", "tests.report", "tests.templates.fixtures"]


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: a run in the background of a script has inherited that it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
