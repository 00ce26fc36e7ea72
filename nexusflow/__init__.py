"""NexusFlow: one model for several tasks when every sample is labelled for one task only."""

__version__ = "0.1.0"
