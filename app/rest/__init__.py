"""The documented REST API, as a table of operations over the schema."""
