"""Translation with a Transformer whose attention is a choice (Implicit Kernel Attention)."""
