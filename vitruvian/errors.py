"""The one exception for what a user can put right: a file, an option, a value."""


class InputError(ValueError):
    """Bad input; the message is one line with what was found, what was expected and what to do.

    The command line prints the message alone and exits with code 2.
    """
