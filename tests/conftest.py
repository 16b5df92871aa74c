"""Fixtures that every kind of test shares."""

pytest_plugins = ["tests.engines.fixtures", "tests.templates.fixtures"]
