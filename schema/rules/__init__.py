"""Pure rules and tables of facts: no input, no output, no clock of their own."""
