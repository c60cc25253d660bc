"""Text classification with a Transformer encoder, whose attention is a choice (Implicit Kernel Attention)."""
