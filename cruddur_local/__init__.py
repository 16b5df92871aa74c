"""The whole system on this machine: the emulator, the real deployment into it, and a first look at it."""
