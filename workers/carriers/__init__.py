"""Who dials: the Carrier interface and its implementations."""
