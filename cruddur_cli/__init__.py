"""What a person runs against the table: `bin/ddb`."""
