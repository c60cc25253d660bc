"""WaveNet's sampling step in C, compiled on first use by the system's compiler."""
