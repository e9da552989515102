"""Read Caffe2 weight pickles, `{"blobs": {name: array}}`, without running code from them."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from twinpath.errors import UnknownWeightFormat
from twinpath.weights.foreign import refuse_foreign
from twinpath.weights.pickled_arrays import PickledArray, array_names
from twinpath.weights.pickles import Buffer, PickleMachine, shown_name


def read_blobs(data: Buffer, *, where: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a Caffe2 pickle.

    Args:
        data: The whole file.
        where: Name of the file in errors.
    Returns:
        Arrays by blob name: views of `data`, perhaps of foreign byte order.
    Raises:
        UnsafeWeights: The pickle refers to anything but plain arrays of numbers; names it.
        DamagedWeights: Truncated, or no valid pickle.
        UnknownWeightFormat: A pickle, but not of blobs.
    Source: PySlowFast, utils/checkpoint.py, reads these with a free `pickle.load(…, encoding="latin1")`.
    """
    machine = PickleMachine(data, where=where, known=array_names(len(data)))
    content = machine.load()
    refuse_foreign(machine.foreign, where=where, content=content, is_torch=False)
    blobs = content.get("blobs") if isinstance(content, dict) else None
    if not isinstance(blobs, dict):
        raise UnknownWeightFormat(
            f"{where} is a pickle, but not Caffe2 weights: it has no 'blobs'{_hint(content)}"
        )
    arrays = {}
    for name, value in blobs.items():
        array = value.array if isinstance(value, PickledArray) else None
        if isinstance(name, str) and array is not None:
            arrays[name] = array
        elif not isinstance(value, (int, float, str)):  # the iteration count may be a plain number
            raise UnknownWeightFormat(f"{where}: the blob {shown_name(name)} is no array of numbers")
    return arrays


def _hint(content: Any) -> str:
    """What to do with a pickle of arrays by name."""
    if not isinstance(content, dict):
        return ""
    inner = next((value for key, value in content.items() if key in ("model", "state_dict")), content)
    arrays = inner.values() if isinstance(inner, dict) else ()
    if not any(isinstance(value, PickledArray) for value in arrays):
        return ""
    return "; arrays by name are read from safetensors: safetensors.numpy.save_file(arrays, 'w.safetensors')"
