"""The configuration of all tests."""

import os
import signal

from hypothesis import HealthCheck, settings

# A busy machine is slow: no generated test has a deadline, and none fails because its input takes long to generate.
settings.register_profile("cruddur", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cruddur")

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
# What says how to print is for whoever runs the tests, not for the programs that they run.
for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(name, None)

pytest_plugins = ["tests.engines.fixtures", "tests.report", "tests.templates.fixtures", "tests.policies.scenarios"]


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes of the tests: a background run inherits that the signal is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
