"""The whole system on this machine: the emulator, the deployment to it, and a demonstration."""
