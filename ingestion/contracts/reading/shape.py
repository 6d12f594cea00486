"""Checks the keys and value types of a contract file. The only module that imports the ODCS models.

Every fault is reported. Faulty values are then left out, so that the rest can still be checked.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_args, get_origin

from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject
from pydantic import BaseModel, ValidationError

from ingestion.contracts.reading.document import DocumentFaults, Steps

_Model = TypeVar("_Model", bound=BaseModel)
_KEY_ERRORS = ("extra_forbidden", "invalid_key")  # `report_unknown_keys` has a better message
_HINTS: dict[str, str] = {
    "string_type": "must be text; put it in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "time_delta_parsing": "must be an ISO 8601 duration, e.g. PT2H or P1D",
    "time_delta_type": "must be an ISO 8601 duration, e.g. PT2H or P1D",
}


def read_shape(findings: DocumentFaults) -> OpenDataContractStandard:
    """Return the ODCS model of all parts with the right shape; faults of the others are in the findings."""
    data = copy.deepcopy(findings.document.data)
    report_unknown_keys(findings, OpenDataContractStandard, data, ())
    return validate(findings, OpenDataContractStandard, data, ())


def read_table(findings: DocumentFaults, contract: OpenDataContractStandard) -> SchemaObject:
    """Return the one table; if there is none, an empty one whose parts are not checked."""
    tables = contract.schema_ or []
    if len(tables) != 1:
        found = f"{len(tables)} tables" if tables else "no table"
        findings.error(("schema",), f"schema holds {found}; a contract is about exactly one, write one file per table")
    if not tables:
        findings.spoil(("schema",))
    return tables[0] if tables else SchemaObject()


def validate(findings: DocumentFaults, model: type[_Model], data: Any, at: Steps, label: Steps = ()) -> _Model:
    """
    Validate `data`, which is at the path `at` in the file and is called `label` in messages.

    Wrong values are reported and removed from `data`.
    """
    while True:
        try:
            return model.model_validate(data)
        except ValidationError as exc:
            errors = [(_existing(data, error["loc"]), error) for error in exc.errors()]
        paths = {path for path, _ in errors}
        deepest = {path for path in paths if not any(p[: len(path)] == path and p != path for p in paths)}
        for path in sorted(deepest, key=str):
            if error := next((e for p, e in errors if p == path and e["type"] not in _KEY_ERRORS), None):
                findings.error((*at, *path), f"{dotted((*label, *path))} {_sentence(dict(error))}")
        dropped = [_drop(data, path) for path in deepest]
        for path in filter(None, dropped):
            findings.spoil((*at, *path))
        if not any(dropped):
            return model.model_validate({})


def report_unknown_keys(
    findings: DocumentFaults, model: type[BaseModel], data: Any, at: Steps, label: Steps = ()
) -> None:
    """Report unknown keys at every depth, with the most similar known key."""
    if not isinstance(data, dict):
        return
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in data.items():
        if key not in fields:
            findings.error((*at, key), f"{dotted((*label, key))} is no known key{near(str(key), fields)}")
            continue
        annotation = fields[key].annotation
        if nested := _nested(annotation, within_list=isinstance(value, list)):
            items = enumerate(value) if isinstance(value, list) else [(None, value)]
            for index, item in items:
                below = (key,) if index is None else (key, index)
                report_unknown_keys(findings, nested, item, (*at, *below), (*label, *below))


def dotted(steps: Steps) -> str:
    """Return a path in readable form: `schema[0].properties[2].name`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def near(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean x?`, or `; remove it` if no known word is similar."""
    folded = {name.casefold(): name for name in known}
    matches = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"; did you mean {folded[matches[0]]}?" if matches else "; remove it"


def _nested(annotation: Any, *, within_list: bool) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return None if within_list else annotation
    if get_origin(annotation) in (list, tuple):
        return _nested(get_args(annotation)[0], within_list=False) if within_list else None
    candidates = (_nested(argument, within_list=within_list) for argument in get_args(annotation))
    return next((found for found in candidates if found), None)


def _sentence(error: dict[str, Any]) -> str:
    if error["type"] in ("enum", "literal_error"):
        return f"must be one of {str(error['ctx']['expected']).replace(' or ', ', ')}".replace("'", "")
    ranges: dict[str, Callable[[dict[str, Any]], str]] = {
        "greater_than_equal": lambda context: f"must be {context['ge']:g} or more",
        "less_than_equal": lambda context: f"must be {context['le']:g} or less",
        "greater_than": lambda context: f"must be more than {context['gt']:g}",
        "too_short": lambda context: f"needs {context['min_length']} values",
        "too_long": lambda context: f"takes {context['max_length']} values",
    }
    if error["type"] in ranges:
        return ranges[error["type"]](error["ctx"])
    return _HINTS.get(error["type"], str(error["msg"]))


def _existing(data: Any, location: Iterable[str | int]) -> Steps:
    """Return the steps of a pydantic location that are in the data; names of union members are not."""
    path: list[str | int] = []
    for step in location:
        if _has(data, step):
            data = data[step]
            path.append(step)
    return tuple(path)


def _drop(data: Any, path: Steps) -> Steps | None:
    """Remove the value at that path, or the nearest mapping entry around it; return what was removed."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    if not path or path != _existing(data, path):
        return None
    for step in path[:-1]:
        data = data[step]
    del data[path[-1]]
    return path


def _has(data: Any, step: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(step, int) and 0 <= step < len(data)
    return isinstance(data, dict) and step in data
