"""The promises of a whole table: snapshots of its conversations, and the checks for what is broken."""

METRIC = "AuditFindings"
SYSTEM_DIMENSION = "System"
"""The metric of an audit's findings, and its only dimension, in a namespace that has the system's name."""
