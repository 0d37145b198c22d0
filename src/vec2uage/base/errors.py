"""The one exception that reports a mistake in what the user asked for or supplied."""

from collections.abc import Sequence

from vec2uage.base.foreign_text import sentence


class UserError(Exception):
    """Bad input: the message is one clear sentence saying what is wrong, where, and how to put it right.

    The command line prints the message without a traceback; every other exception is a defect of vec2uage. `problems`
    are those that a message lists, where there are several: each is a line of its own, and nothing else is.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n  ".join(map(sentence, (super().__str__(), *self.problems)))
