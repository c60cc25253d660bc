"""What a model shows of what it makes: each kind of sample writes its own files."""
