"""From the bytes of a request to the inputs of a model, or to what is wrong with them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sanderling.engines.engine import Port
from sanderling.graph.types import Array
from sanderling.serve.inference.datatypes import from_bytes, from_json, name_of
from sanderling.serve.inference.refusal import Refusal, shown

MOST_JSON = 8 << 20  # bytes: a parser holds up everybody else, and makes many times as much of it
_MOST_RANK = 32
_MOST_ELEMENTS = 1 << 40
_LONGEST_ID = 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """One output, and how it is to be written.

    Attributes:
        position: among the model's outputs.
        binary: as bytes behind the JSON.
        classes: so many of the best classes in place of the values; 0 for the values.
    """

    position: int
    binary: bool
    classes: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request.

    Attributes:
        inputs: in the model's order, shaped as the caller says.
        wanted: outputs, in the caller's order.
        id: is given back.
        timeout: seconds within which the answer is of use; None for the server's.
    """

    inputs: list[Array]
    wanted: list[Wanted]
    id: str | None = None
    timeout: float | None = None


def read(body: bytes, header_length: str | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> Asked:
    """Reads an inference request. Shapes are not compared with the model's here.

    Args:
        body: without compression.
        header_length: what the header ``Inference-Header-Content-Length`` says.
        inputs, outputs: the model's.

    Raises:
        Refusal: it breaks a rule of the protocol, or is not for this model.
    """
    head, rest = _parts(body, header_length)
    document = _document(head)
    options = _options(document, "the request")
    arrays = _inputs(document.get("inputs"), rest, inputs)
    given = document.get("id")
    if given is not None and (not isinstance(given, str) or len(given) > _LONGEST_ID):
        raise Refusal(400, f"'id' is {shown(given)}, expected a text of at most {_LONGEST_ID} characters")
    wanted = _wanted(document.get("outputs"), _flag(options, "binary_data_output"), outputs)
    if options.get("sequence_id") not in (None, 0, ""):
        raise Refusal(400, "'sequence_id' is for models that keep a state, and none is served here")
    return Asked(arrays, wanted, given, _timeout(options.get("timeout")))


def _parts(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    size = len(body)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdigit()) or int(header_length[:20]) > size:
            what = f"Inference-Header-Content-Length is {shown(header_length)}"
            raise Refusal(400, f"{what}, expected a number up to the body's {size} bytes")
        size = int(header_length)
    if size > MOST_JSON:
        raise Refusal(413, f"{size} bytes of JSON, at most {MOST_JSON}; send tensors as binary data")
    return body[:size], memoryview(body)[size:]


def _document(head: bytes) -> dict[str, Any]:
    try:
        found = json.loads(head)
    except RecursionError:
        raise Refusal(400, "the JSON is nested too deeply") from None
    except (ValueError, UnicodeDecodeError) as error:
        told = str(error) if isinstance(error, json.JSONDecodeError) else "not text in UTF-8, or no number"
        raise Refusal(400, f"the request is no JSON: {told}") from None
    if not isinstance(found, dict):
        raise Refusal(400, f"the request is {shown(found)}, expected an object")
    return found


def _options(owner: Mapping[str, Any], whose: str) -> dict[str, Any]:
    found = owner.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Refusal(400, f"'parameters' of {whose} is {shown(found)}, expected an object")
    return found


def _flag(options: Mapping[str, Any], name: str) -> bool:
    found = options.get(name, False)
    if not isinstance(found, bool):
        raise Refusal(400, f"{name!r} is {shown(found)}, expected true or false")
    return found


def _timeout(given: object) -> float | None:
    if given is None or given == 0:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or not 0 < given < 1 << 53:
        raise Refusal(400, f"'timeout' is {shown(given)}, expected a whole number of microseconds")
    return given / 1e6


def _entries(given: object, what: str, known: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Returns: name → entry of a list of named objects."""
    if not isinstance(given, list):
        raise Refusal(400, f"{what + 's'!r} is {shown(given)}, expected a list")
    found: dict[str, dict[str, Any]] = {}
    for entry in given:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise Refusal(400, f"an {what} is {shown(entry)}, expected an object with a 'name'")
        if name not in known:
            listed = ", ".join(map(repr, known))
            raise Refusal(400, f"there is no {what} {shown(name)}; the model has: {listed}")
        if name in found:
            raise Refusal(400, f"{what} {shown(name)} is given twice")
        found[name] = entry
    return found


def _inputs(given: object, rest: memoryview, ports: Sequence[Port]) -> list[Array]:
    known = {port.name: at for at, port in enumerate(ports)}
    arrays: dict[str, Array] = {}
    for name, entry in _entries(given, "input", known).items():
        port = ports[known[name]]
        shape, size = _shape(entry, name), _binary_size(entry, name)
        if entry.get("datatype") != name_of(port.type.dtype):
            told = f"{shown(entry.get('datatype'))}, expected {name_of(port.type.dtype)!r}"
            raise Refusal(400, f"the datatype of input {shown(name)} is {told}")
        dtype = port.type.dtype.numpy
        if size is None:
            if "data" not in entry:
                raise Refusal(400, f"input {shown(name)} has neither 'data' nor 'binary_data_size'")
            arrays[name] = from_json(entry["data"], name, dtype, shape)
            continue
        if "data" in entry:
            raise Refusal(400, f"input {shown(name)} has both 'data' and 'binary_data_size'")
        if size > len(rest):
            raise Refusal(400, f"input {shown(name)} has {size} bytes of data, of which {len(rest)} came")
        arrays[name] = from_bytes(rest[:size], name, dtype, shape)
        rest = rest[size:]
    if len(rest):
        raise Refusal(400, f"{len(rest)} bytes of the body belong to no input")
    missing = [name for name in known if name not in arrays]
    if missing:
        raise Refusal(400, f"input {missing[0]!r} is missing")
    return [arrays[port.name] for port in ports]


def _shape(entry: Mapping[str, Any], name: str) -> tuple[int, ...]:
    found = entry.get("shape")
    sizes = isinstance(found, list) and all(type(n) is int and n >= 0 for n in found)
    if not isinstance(found, list) or not sizes or len(found) > _MOST_RANK:
        raise Refusal(400, f"the shape of input {shown(name)} is {shown(found)}, expected a list of sizes")
    if math.prod(found) > _MOST_ELEMENTS or max(found, default=0) > _MOST_ELEMENTS:
        raise Refusal(400, f"the shape of input {shown(name)} is too large")
    return tuple(found)


def _binary_size(entry: Mapping[str, Any], name: str) -> int | None:
    options = _options(entry, f"input {shown(name)}")
    if "shared_memory_region" in options:
        raise Refusal(400, "shared memory is not offered; send the tensor in the request")
    found = options.get("binary_data_size")
    if found is None:
        return None
    if type(found) is not int or found < 0:
        raise Refusal(400, f"'binary_data_size' of input {shown(name)} is {shown(found)}, expected a size")
    return found


def _wanted(given: object, binary: bool, ports: Sequence[Port]) -> list[Wanted]:
    if given is None or given == []:
        return [Wanted(position, binary) for position in range(len(ports))]
    known = {port.name: at for at, port in enumerate(ports)}
    found = []
    for name, entry in _entries(given, "output", known).items():
        options = _options(entry, f"output {shown(name)}")
        if "shared_memory_region" in options:
            raise Refusal(400, "shared memory is not offered; take the tensor from the answer")
        classes = options.get("classification", 0)
        if type(classes) is not int or classes < 0:
            raise Refusal(400, f"'classification' is {shown(classes)}, expected a number of classes")
        as_bytes = _flag(options, "binary_data") if "binary_data" in options else binary
        found.append(Wanted(known[name], as_bytes, classes))
    return found
