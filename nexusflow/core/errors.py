"""Errors whose message is meant for the person at the keyboard."""

__all__ = ["UserError"]


class UserError(Exception):
    """A mistake in input that one sentence can explain; the command line prints it without a traceback.

    Args:
        message: one sentence that names the file and key at fault and says what to do next.
    """
