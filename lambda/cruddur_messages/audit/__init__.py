"""The promises of a whole table: snapshots of its conversations, and the checks for what is broken."""
