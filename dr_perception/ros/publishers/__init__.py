"""The node's outputs, one file each; every module of this folder is imported here."""

import importlib
import pkgutil

from dr_perception.ros.publishers.registry import (OutputEntry, OutputPublisher,
                                                   registered_outputs)

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f'{__name__}.{_module.name}')

__all__ = ['OutputEntry', 'OutputPublisher', 'registered_outputs']
