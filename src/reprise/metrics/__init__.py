"""torchmetrics.Metric subclasses, each with a protocol version: results of different versions do not compare."""
