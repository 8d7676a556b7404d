"""Packages that are imported with their first use, and not with the start.

As with `importlib.util.LazyLoader`, the place of the package is taken by a module that runs the package's code when
something of it is asked for. Other than there, its submodules can be imported before that.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any, cast

_KNOWN = {"__spec__", "__path__", "__name__", "__file__"}
"""Attributes by which modules are found, and which there are without running any code."""
_one_at_a_time = RLock()


class _Late(ModuleType):
    """A package whose own code has not run yet."""

    def __getattribute__(self, name: str) -> Any:
        if name not in _KNOWN:
            spec: Any = self.__spec__
            with _one_at_a_time:  # another thread must not see it half made
                # The package's own code asks for its attributes, too.
                if type(self) is _Late and spec.loader_state is None:
                    spec.loader_state = "running"
                    try:
                        spec.loader.exec_module(self)
                    finally:
                        spec.loader_state = None
                    cast("Any", self).__class__ = ModuleType
        return ModuleType.__getattribute__(self, name)


def import_late(package: str, *, now: str) -> None:
    """Import a submodule, and the rest of its package with the first use.

    Args:
        package: The package.
        now: The submodule. When it cannot be imported without the package, nothing is done.
    """
    spec = find_spec(package)
    if package in sys.modules or spec is None:
        return
    module = module_from_spec(spec)
    module.__class__ = _Late
    sys.modules[package] = module
    try:
        import_module(now)
    except ImportError:
        for name in [one for one in sys.modules if one == package or one.startswith(f"{package}.")]:
            del sys.modules[name]
