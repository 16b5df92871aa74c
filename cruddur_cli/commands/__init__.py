"""The commands: each says what it does, where, and with what result; what it does is in the modules above."""
