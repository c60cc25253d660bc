"""From a config to a finished run: build, fit, checkpoint, resume, evaluate, generate, verify."""
