"""Cruddur's direct messages on DynamoDB: the schema, the access patterns A-D and the projection (E)."""
