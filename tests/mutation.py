"""Swap wrong code into the running package: an edit of a module's source, undone after.

Modules import functions from one another by name, so replacing a function in its module
would miss most of its callers. The edited source is compiled, and each function that is
there gets the new code object: all who hold it, under whatever name, run the mistake.
"""

import inspect
import types
from collections.abc import Iterator
from contextlib import contextmanager

from llmcourse import rope


@contextmanager
def mutated(module: types.ModuleType, *edits: tuple[str, str]) -> Iterator[None]:
    """Run with edits (old text, new text) in the module; old must occur just once."""
    source = inspect.getsource(module)
    for old, new in edits:
        if source.count(old) != 1:
            raise LookupError(f"{old!r} occurs {source.count(old)} times, not once")
        source = source.replace(old, new)
    wrong = types.ModuleType(module.__name__)
    wrong.__file__, wrong.__package__ = module.__file__, module.__package__
    exec(compile(source, f"<mutant of {module.__name__}>", "exec"), vars(wrong))

    code = {f: f.__code__ for f in functions(module).values()}
    constants = {n: v for n, v in vars(module).items() if is_constant(n, v)}
    swapped = functions(wrong)
    try:
        for name, function in functions(module).items():
            function.__code__ = swapped[name].__code__
        vars(module).update({n: vars(wrong)[n] for n in constants})
        rope._frequencies_on.cache_clear()  # it may hold what the right code computed
        yield
    finally:
        for function, right in code.items():
            function.__code__ = right
        vars(module).update(constants)
        rope._frequencies_on.cache_clear()


def functions(module: types.ModuleType) -> dict[str, types.FunctionType]:
    """Every function and method that is written in a module, by its name."""
    found = {}
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        members = vars(value) if inspect.isclass(value) else {name: value}
        for member, function in members.items():
            function = getattr(function, "fget", None) or function  # a property's own
            function = inspect.unwrap(getattr(function, "__func__", function))
            if isinstance(function, types.FunctionType) and is_written(function):
                found[f"{name}.{member}"] = function
    return found


def is_written(function: types.FunctionType) -> bool:
    """Not made by a decorator such as dataclass."""
    return function.__code__.co_filename != "<string>" and "__create_fn__" not in (
        function.__qualname__
    )


def is_constant(name: str, value: object) -> bool:
    return isinstance(value, dict | tuple | list) and not name.startswith("__")
