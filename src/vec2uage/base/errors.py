"""The one exception that reports a mistake in what the user asked for or supplied."""


class UserError(Exception):
    """Bad input: the message is one clear sentence saying what is wrong, where, and how to put it right.

    The command line prints the message without a traceback; every other exception is a defect of vec2uage.
    """
