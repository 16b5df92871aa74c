"""The smoke test: made-up people send messages, each is awaited in every inbox, and all writes are removed."""
