"""Time series: one input, the time, and one target."""
