"""Access pattern E: every member's group row shows the newest message of the conversation."""
