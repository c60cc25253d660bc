"""Tables of inputs and one target."""
