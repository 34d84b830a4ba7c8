"""Errors whose text is one sentence for the user."""


class InputError(Exception):
    """Something the user gave cannot be used; the message is one sentence meant for them."""


class StudyError(InputError):
    """A study file that is missing, malformed or contradicts itself; `place` is the path of the key, where one is at fault."""

    def __init__(self, message: str, place: tuple[int | str, ...] = ()) -> None:
        super().__init__(message)
        self.place = place
