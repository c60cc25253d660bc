"""Composing, checking and instantiating configs. Imports neither torch nor lightning."""
