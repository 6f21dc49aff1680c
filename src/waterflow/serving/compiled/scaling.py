"""Clipping and scaling of numbers."""

from typing import Any

import numpy as np

from waterflow.serving.compiled.interface import Matrix, MatrixStep, NotCompilableError, path_of


def compile_clip(clipper: Any) -> MatrixStep:
    """Return the clipping of columns to learnt bounds. NaN stays NaN."""
    lower, upper = clipper.lower_, clipper.upper_
    return lambda values: np.minimum(np.maximum(values, lower), upper)


def compile_scale(scaler: Any) -> MatrixStep:
    """Return what a scaler does, in its order of operations."""
    match path_of(scaler):
        case "sklearn.preprocessing._data.StandardScaler" if scaler.with_mean and scaler.with_std:
            return _shift_and_divide(scaler.mean_, scaler.scale_)
        case "sklearn.preprocessing._data.RobustScaler" if scaler.with_centering and scaler.with_scaling:
            return _shift_and_divide(scaler.center_, scaler.scale_)
        case "sklearn.preprocessing._data.MinMaxScaler" if not scaler.clip:
            factor, offset = scaler.scale_, scaler.min_
            return lambda values: values * factor + offset
    raise NotCompilableError(f"the scaler {scaler!r} has no fast path")


def _shift_and_divide(shift: Matrix, divisor: Matrix) -> MatrixStep:
    return lambda values: (values - shift) / divisor
