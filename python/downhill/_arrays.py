"""Arrays of any library as arrays of NumPy that the engine reads in place.

The rules of types, which tests hold:

- float32, float16, uint8, int8, uint16, int16 and int32 are taken as they are, without a copy where the numbers lie one
  after the other;
- float64 and longdouble become float32, and int64, uint32 and uint64 become int32, by a copy; a number that int32 does not
  have, or a finite one that float32 does not have, is an error;
- bool becomes float32, 0 and 1, in inputs, and labels 0 and 1 in targets;
- anything else is an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._errors import DataError, WeightsError

#: Kinds of arrays that are no numbers of the engine.
_OTHERS = {"O": "objects", "U": "texts", "S": "bytes", "c": "complex numbers", "M": "dates", "m": "durations", "V": "records"}
_TAKEN = {"f4", "f2", "u1", "i1", "u2", "i2", "i4"}


def _from_other(name: str, value: Any) -> np.ndarray:
    """An array, a tensor or a list as an array of NumPy, without a copy where it can be."""
    if isinstance(value, np.ndarray):
        return value
    # Tensors of PyTorch, which refuse to be shared while they take part in a gradient.
    if hasattr(value, "detach"):
        value = value.detach()
    if getattr(value, "is_meta", False):
        raise DataError(f"{name}: a tensor of the device meta has a shape and no numbers")
    if str(getattr(value, "layout", "")).startswith("torch.sparse"):
        raise DataError(f"{name}: sparse data are not taken; make them dense, as {name}.to_dense() does")
    if hasattr(value, "__dlpack__"):
        try:
            device = value.__dlpack_device__()
            # 1: the processor; 3: its pinned memory.
            if int(device[0]) not in (1, 3):
                raise DataError(f"{name}: the tensor lies on a device ({device[0]}, {device[1]}); move it to the processor, as "
                                f"{name}.cpu() does")
            if hasattr(value, "resolve_conj"):
                value = value.resolve_conj().resolve_neg()
            return np.from_dlpack(value)
        except DataError:
            raise
        except (BufferError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            kind = getattr(value, "dtype", type(value).__name__)
            raise DataError(f"{name}: a tensor of {kind} cannot be shared with NumPy ({error}); make it float32, as "
                            f"{name}.float() does") from error
    if hasattr(value, "to_numpy"):
        return np.asarray(value.to_numpy())
    if hasattr(value, "toarray") and hasattr(value, "tocsr"):
        raise DataError(f"{name}: sparse data are not taken; make them dense, as {name}.toarray() does")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(f"{name}: no array can be made of it ({error})") from error


def _narrowed(name: str, array: np.ndarray, is_target: bool) -> np.ndarray:
    """The array in a type that the engine takes."""
    kind = array.dtype.kind
    if kind == "b":
        # Inputs of uint8 would be divided by 255.
        return array.astype(np.uint8 if is_target else np.float32)
    if kind == "f":
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float32)
        lost = np.isinf(narrow) & np.isfinite(array)
        if lost.any():
            at = tuple(int(i) for i in np.argwhere(lost)[0])
            raise DataError(f"{name}{list(at)} is {array[at]!r}, which float32 does not have: its largest is "
                            f"{np.finfo(np.float32).max:.4g}; scale the numbers")
        return narrow
    if kind in "iu":
        limits = np.iinfo(np.int32)
        if array.size and (int(array.max()) > limits.max or int(array.min()) < limits.min):
            worst = array.max() if int(array.max()) > limits.max else array.min()
            raise DataError(f"{name} holds {worst}, and whole numbers go from {limits.min} to {limits.max}; use float32 for "
                            f"others")
        return array.astype(np.int32)
    raise DataError(f"{name} holds {_OTHERS.get(kind, array.dtype)}, and numbers are needed; encode them first. Labels of any "
                    f"type are for downhill.Classifier")


def as_array(name: str, value: Any, is_target: bool = False) -> np.ndarray:
    """``value`` as an array that the engine reads in place: of a type it takes, row-major, in the machine's byte order."""
    array = _from_other(name, value)
    if array.ndim == 0 and array.dtype.kind == "O":
        raise DataError(f"{name} is a {type(value).__name__}, and an array is needed")
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise DataError(f"{name} has masked values; fill them, as {name}.filled(0) does")
    if array.ndim == 0:
        raise DataError(f"{name} is a single number, and an array has samples along its first axis")
    if array.dtype.str[1:] not in _TAKEN or not array.dtype.isnative:
        native = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
        array = _narrowed(name, native, is_target)
    return array if array.flags.c_contiguous and array.flags.aligned else np.array(array, order="C", copy=True)


def as_weights(name: str, value: Any) -> np.ndarray:
    """A tensor of weights as float32; 0 axes are allowed."""
    array = np.asarray(_from_other(name, value))
    if array.dtype.kind not in "fiub":
        kind = _OTHERS.get(array.dtype.kind, array.dtype)
        raise WeightsError(f"{name} holds {kind}, and weights are real numbers")
    return np.ascontiguousarray(array, dtype=np.float32).reshape(array.shape)
