"""Lets a process of the tests die at a call."""

from __future__ import annotations

import importlib
import os
import signal
from typing import Any


def die_at(target: str, call: int, when: str) -> None:
    """Kill this process by SIGKILL `before` or after the so manieth call of `module.Class.method`."""
    module, owner, name = target.rsplit(".", 2)
    holder = getattr(importlib.import_module(module), owner)
    honest, calls = getattr(holder, name), 0

    def deadly(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = honest(*args, **kwargs)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(holder, name, deadly)
