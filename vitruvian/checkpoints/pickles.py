"""A restricted pickle machine: rebuilds plain containers, and runs nothing that the file names.

A pickle is a program: it names functions and has them called. This machine never imports a name. Those that it
knows have a builder of our own that checks its arguments (`CONTAINERS`, and what the caller adds); all others become
a `Placeholder`, which records what the file gave it. Every opcode that would call something, or set an attribute or
an item of it, is replaced.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any


class Placeholder:
    """What the file names and this machine does not rebuild: a class, a function, or what came out of one.

    `args` is None for the class or function itself, else the arguments of the call; `state` is what its
    `__setstate__` would have got; `items` the pairs of a mapping; `values` the elements of a list or set.
    """

    __slots__ = ("args", "items", "name", "state", "values")

    def __init__(self, name: str, args: tuple | None = None) -> None:
        self.name = name
        self.args = args
        self.state: Any = None
        self.items: list[tuple[Any, Any]] = []
        self.values: list[Any] = []

    def __repr__(self) -> str:
        return f"<{self.name} of the file>"


class Pending:
    """An object between its making and its state, which tells what it is: `finish(state)` gives it."""

    def __init__(self, finish: Callable[[Any], Any]) -> None:
        self.finish = finish
        self.memo_keys: list[int] = []


class _Memo(dict):
    """The machine's memo; it remembers where an unfinished object lies, so that the finished one gets there."""

    def __setitem__(self, key: int, value: Any) -> None:
        if isinstance(value, Pending):
            value.memo_keys.append(key)
        super().__setitem__(key, value)


def _list(content: Any = (), _length: Any = None) -> list:
    if not isinstance(content, (list, tuple, set, frozenset)):  # running through a tensor could take for ever
        raise TypeError(f"the elements of a {type(content).__name__}")
    return list(content)


def _mapping(content: Any = ()) -> OrderedDict:
    result = OrderedDict()
    _fill(result, content.items() if isinstance(content, dict) else _list(content))
    return result


def _set(content: Any = ()) -> set:
    return {_key(value) for value in _list(content)}


def _bytes(text: Any = b"", encoding: str = "latin1") -> bytes:
    """What Python 2 and protocol 2 write for bytes: a text to be encoded."""
    if encoding not in ("latin1", "latin-1", "utf-8", "utf8", "ascii"):
        raise ValueError(f"encoding {encoding}")
    if isinstance(text, str):
        return text.encode(encoding)
    return bytes(text if isinstance(text, (bytes, bytearray)) else _list(text))


def _complex(real: float, imaginary: float) -> complex:
    return complex(real, imaginary)


def _old_object(kind: Any, _base: Any = None, state: Any = None) -> Placeholder:
    return Placeholder(kind.name, () if state is None else (state,))


def _key(key: Any) -> Any:
    """`key`, unless hashing it could take for ever: tuples that share tuples, level upon level."""
    if type(key) is tuple:
        flat = [key]
        for part in flat:
            if type(part) is tuple:
                flat.extend(part)
            if len(flat) > 1000:
                raise pickle.UnpicklingError("a key of more than a thousand parts")
    return key


def _fill(mapping: Any, pairs: Iterable[tuple[Any, Any]]) -> None:
    if isinstance(mapping, dict):
        for key, value in pairs:
            mapping[_key(key)] = value
    elif isinstance(mapping, Placeholder):
        mapping.items.extend(pairs)
    else:
        raise pickle.UnpicklingError(f"items for a {type(mapping).__name__}")


def _extend(target: Any, values: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(values)
    elif isinstance(target, set):
        target.update(_key(value) for value in values)
    elif isinstance(target, Placeholder):
        target.values.extend(values)
    else:
        raise pickle.UnpicklingError(f"elements for a {type(target).__name__}")


CONTAINERS: dict[str, Any] = {
    "collections.OrderedDict": _mapping,
    "collections.Counter": _mapping,
    "collections.defaultdict": lambda _factory=None: OrderedDict(),
    "collections.deque": _list,
    "builtins.dict": _mapping,
    "builtins.list": _list,
    "builtins.set": _set,
    "builtins.frozenset": lambda content=(): frozenset(_set(content)),
    "builtins.bytes": _bytes,
    "builtins.bytearray": lambda text=b"", encoding="latin1": bytearray(_bytes(text, encoding)),
    "builtins.complex": _complex,
    "_codecs.encode": _bytes,
    "copyreg._reconstructor": _old_object,
}
"""What a call of these names gives."""

_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class RestrictedUnpickler(pickle._Unpickler):  # the one in Python: of the other one, opcodes cannot be replaced
    """Reads one pickle from `file`, whose `read` must not reserve memory for more bytes than there are.

    `known` says what names stand for, "module.name" each: something callable builds what a call of that name would
    give, from the same arguments, and raises TypeError or ValueError at those that it does not know; anything else
    is what the name itself means. `persistent` gives what a persistent id stands for, or raises in the same way.
    """

    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(
        self,
        file: IO[bytes],
        known: Mapping[str, Any] = CONTAINERS,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(file, encoding="latin1")  # Python 2 wrote its bytes as strings
        self.memo = _Memo()
        self.known = known
        self.persistent = persistent

    def find_class(self, module: str, name: str) -> Any:
        full = f"{_OLD_MODULES.get(module, module)}.{name}"
        meaning = self.known.get(full)
        return Placeholder(full) if meaning is None or callable(meaning) else meaning

    def get_extension(self, code: int) -> None:
        self.append(Placeholder(f"copyreg.extension_{code}"))

    def persistent_load(self, pid: Any) -> Any:
        try:
            return Placeholder("persistent_id", (pid,)) if self.persistent is None else self.persistent(pid)
        except (TypeError, ValueError):
            return Placeholder("persistent_id", (pid,))

    def call(self, function: Any, args: Any) -> Any:
        """What `function(*args)` stands for."""
        if not isinstance(function, Placeholder) or function.args is not None or not isinstance(args, tuple):
            return Placeholder("unknown", args if isinstance(args, tuple) else (args,))
        builder = self.known.get(function.name)
        try:
            if builder is not None:
                return builder(*args)
        except (AttributeError, LookupError, TypeError, ValueError):
            pass  # known by name, but not with these arguments
        return Placeholder(function.name, args)

    def _instantiate(self, klass: Any, args: Any) -> None:  # of INST and OBJ
        self.append(self.call(klass, tuple(args)))

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self.call(self.stack[-1], args)

    def load_newobj_ex(self) -> None:
        keywords = self.stack.pop()
        args = self.stack.pop()
        made = self.call(self.stack[-1], args)
        if keywords:
            made = Placeholder(getattr(self.stack[-1], "name", "unknown"), (args, keywords))
        self.stack[-1] = made

    def load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Pending):
            self.stack[-1] = target.finish(state)
            for key in target.memo_keys:
                self.memo[key] = self.stack[-1]
        elif isinstance(target, Placeholder):
            target.state = state

    def load_setitem(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        _fill(self.stack[-1], [(key, value)])

    def load_setitems(self) -> None:
        values = self.pop_mark()
        _fill(self.stack[-1], zip(values[::2], values[1::2], strict=True))

    def load_dict(self) -> None:
        values = self.pop_mark()
        result: dict = {}
        _fill(result, zip(values[::2], values[1::2], strict=True))
        self.append(result)

    def load_append(self) -> None:
        value = self.stack.pop()
        _extend(self.stack[-1], [value])

    def load_appends(self) -> None:
        values = self.pop_mark()
        _extend(self.stack[-1], values)

    def load_frozenset(self) -> None:
        values = self.pop_mark()  # which changes what append is
        self.append(frozenset(_set(values)))

    def load_bytearray8(self) -> None:
        length = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(length)))

    def load_readonly_buffer(self) -> None:
        pass

    dispatch: dict[int, Any] = pickle._Unpickler.dispatch | {  # type: ignore[assignment]
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_reduce,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.APPEND[0]: load_append,
        pickle.APPENDS[0]: load_appends,
        pickle.ADDITEMS[0]: load_appends,
        pickle.FROZENSET[0]: load_frozenset,
        pickle.BYTEARRAY8[0]: load_bytearray8,
        pickle.READONLY_BUFFER[0]: load_readonly_buffer,
    }
