"""The commands: arguments, checks and output. The work is in the other modules of this package."""
