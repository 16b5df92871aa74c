"""The command line for the table: `bin/ddb`."""
