"""Fixtures that every kind of test shares."""

pytest_plugins = ["tests.engines.fixtures", "tests.policies.report", "tests.templates.fixtures"]
