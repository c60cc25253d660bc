"""Speech and other sound."""
