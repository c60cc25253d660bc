"""The command line: one module a verb. Each parses, calls and prints; the logic is in the rooms below."""
