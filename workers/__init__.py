"""Background work: dialing, live calls and webhook deliveries."""
