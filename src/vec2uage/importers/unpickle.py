"""Reads pickles of others without running them: exactly the constructors that a caller lists can be called."""

import copyreg
import mmap
import pickle
from collections.abc import Callable, Mapping
from io import BufferedIOBase, BytesIO
from typing import Any

from vec2uage.base.errors import UserError
from vec2uage.importers import pickle_check

Allowed = Mapping[tuple[str, str], Any]

_PYTHON2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # protocols 0 to 2 write these, from Python 3 too
_LONGEST = 200  # characters of a foreign text that a message shows


def load(file: BufferedIOBase, allowed: Allowed, where: str, persistent: Callable[[Any], Any] | None = None) -> Any:
    """Unpickle the object at the position of `file`, with exactly the constructors in `allowed`.

    `allowed` maps (module, name), as the pickle says them, to what is used instead: a callable is called where
    the pickle calls the original, however it does that; anything else is put in as it is. Nothing is imported or
    looked up by name. Callables reach the pickle as sealed classes, which it can call and nothing more, so that it
    cannot change them. What they return it can fill (`__setstate__`, else `__dict__` and attributes; list and
    dict items): give it objects for which that is harmless, such as `Inert`. `persistent` resolves persistent
    ids, which are refused without it; it is handed what the pickle says.

    What it takes of time and memory is bounded by the file's length (see `pickle_check`), but what comes back can hold
    itself or unfold without end: look at types before following it (`str`, `==`, NumPy all follow).

    Raises UserError with `where`, which names the file, when the pickle asks for anything else (named in the
    message), is truncated or damaged, or when a callable of `allowed` raises.
    """
    # An extension code (copyreg) of this cache would be handed out without asking `find_class`.
    copyreg.clear_extension_cache()
    try:
        _check(file)
        return _Unpickler(file, allowed, persistent).load()
    except _RefusedError as refused:
        raise UserError(
            f"{where}: refused, this pickle asks for {refused}, which files of this kind do not need and which "
            "could run anything; get the data in another format, such as .npz"
        ) from None
    except UserError:
        raise
    except Exception as error:  # damaged pickles raise whatever their bytes happen to mean
        text = _short(str(error)) or "empty"
        raise UserError(f"{where}: not a readable pickle ({type(error).__name__}: {text})") from None


def _check(file: BufferedIOBase) -> None:
    """Check the pickle at the position of a file, whatever follows it: a file's numbers may be large."""
    if isinstance(file, BytesIO):
        pickle_check.check(file.getvalue(), file.tell())
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        pickle_check.check(data, file.tell())


class _Sealed(type):
    """A class that cannot be changed: a pickle may set attributes of all that it gets hold of."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise TypeError(f"{name!r} of {cls.__name__} cannot be set")

    def __delattr__(cls, name: str) -> None:
        raise TypeError(f"{name!r} of {cls.__name__} cannot be deleted")


class Inert:
    """Stands for an object that is not made: keeps what it would have been made of and does nothing with it."""

    __slots__ = ("args", "kwargs", "state")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _RefusedError(Exception):
    """Says what a pickle asked for and may not have."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BufferedIOBase, allowed: Allowed, persistent: Callable[[Any], Any] | None) -> None:
        super().__init__(file)
        self._allowed = allowed
        self._persistent = persistent
        self._sealed: dict[Any, type] = {}  # by what they call: a pickle may hold any number of names for it

    def find_class(self, module: str, name: str, /) -> Any:
        key = (_PYTHON2.get(module, module), name)
        if key not in self._allowed:
            raise _RefusedError(repr(_short(f"{module}.{name}")))
        value = self._allowed[key]
        if not callable(value):
            return value
        if value not in self._sealed:
            self._sealed[value] = _seal(name, value)
        return self._sealed[value]

    def persistent_load(self, pid: Any, /) -> Any:
        if self._persistent is None:
            raise _RefusedError("an object outside the file (a persistent id)")
        return self._persistent(pid)


def _seal(name: str, call: Callable[..., Any]) -> type:
    """Return a class that gives `call(...)` when it is called or, as protocol 2 does, when only its `__new__` is."""

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return _Sealed(name, (), {"__slots__": (), "__new__": new})


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "..."
