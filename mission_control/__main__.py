"""``python -m mission_control``."""

from .cli import main

main()
