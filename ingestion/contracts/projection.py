"""The shape of a batch on its way from a source adapter to the validation split.

A batch holds the contract's columns in order, typed as the contract says, then one text column
per guarded column. A guarded column's declared type in the source allows values that the promised
type cannot hold. It is delivered twice: typed, null where the value does not fit, and as text
under `RAW_PREFIX`, null where it fits. So a misfit is never rounded, wraps or ends the load.
"""

from __future__ import annotations

RAW_PREFIX = "__raw__"
