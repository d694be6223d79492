"""Packages that are executed when something of them is used, and not where they are imported."""

import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any


class _Late(ModuleType):
    """A package whose file is executed when something is looked up that it does not have yet.

    As importlib.util.LazyLoader does it, which a second `import` of the same package sets off on Python 3.11 to 3.13.
    """

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        assert spec is not None
        assert spec.loader is not None
        with _executing:  # another thread waits until the package is whole
            if type(self) is ModuleType:
                return getattr(self, name)
            if self.__dict__.get("__path__") is not None:  # it looks into itself while it is executed
                raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
            self.__path__ = list(spec.submodule_search_locations or [])
            try:
                spec.loader.exec_module(self)
            except BaseException:
                sys.modules.pop(self.__name__, None)  # as where an ordinary import fails: the next one tries again
                raise
            self.__class__ = ModuleType  # type: ignore[assignment]
        return getattr(self, name)


_executing = threading.RLock()


def import_when_used(package: str) -> None:
    """Let `import package` cost nothing until something is used of it, or imported from it or from within it.

    Nothing is done where it is imported already, or not installed.
    """
    spec = None if package in sys.modules else importlib.util.find_spec(package)
    if spec is not None:
        module = _Late(package)
        module.__spec__ = spec
        module.__loader__ = spec.loader
        module.__file__ = spec.origin
        module.__package__ = package
        sys.modules[package] = module
