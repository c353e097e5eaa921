"""The verbs of the domain: every read scoped to a workspace, every write guarded by a rule."""
