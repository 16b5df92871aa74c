"""What the stacks are made of, one construct per file; each takes the values it needs."""
