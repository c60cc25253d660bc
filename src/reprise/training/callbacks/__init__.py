"""Lightning callbacks. `Control` and `RandomStates` are always there, the others are conf/callbacks' choice."""
