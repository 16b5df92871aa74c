"""What keeps a table right: scan it, check it, repair it, work off the failure queue."""
