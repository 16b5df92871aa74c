"""The maintenance of a table: scan, check, repair, and redrive of the failure queue."""
