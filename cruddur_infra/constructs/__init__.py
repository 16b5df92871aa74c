"""The constructs of the stacks, one per file. Each takes the values it needs as arguments."""
