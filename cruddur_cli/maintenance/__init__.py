"""The maintenance of a table: scan, check again, repair, and redrive of the failure queue."""
