"""The names that a piece of Python needs from elsewhere. Pure."""

from pyflakes.checker import Checker
from pyflakes.messages import UndefinedExport, UndefinedLocal, UndefinedName

from app.code.syntax import TooTangled, python_tree


def undefined_names(code: str) -> list[str]:
    """Names that Python code uses and nothing in it defines or imports, in order of their first use.

    Raises SyntaxError. A method's own parameters are names like any other: `self` needs no class around it.
    """
    try:
        messages = Checker(python_tree(code), filename="solution").messages
    except RecursionError as error:
        raise TooTangled("nested too deeply") from error
    kinds = (UndefinedName, UndefinedLocal, UndefinedExport)
    undefined = [message for message in messages if isinstance(message, kinds)]
    undefined.sort(key=lambda message: (message.lineno, message.col))
    return list(dict.fromkeys(str(message.message_args[0]) for message in undefined))
