"""What lasts: records, commands, the one writer, and the files that must be whole.

What it exports stands in `__init__.pyi`, and is loaded when it is asked for: the command line needs
a word or two of it, and should not wait for the rest.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
