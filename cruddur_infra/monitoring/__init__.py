"""The monitoring of the projection."""
