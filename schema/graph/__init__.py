"""The Strawberry schema: publishes rules, tables and services, and decides nothing."""
