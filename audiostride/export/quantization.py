"""Convolutions of an ONNX graph in 8 bits; without torch."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from audiostride.data.audio import Waveform


class _Windows(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, name: str, windows: Waveform) -> None:
        self._rows = iter({name: window[None]} for window in windows)

    def get_next(self) -> dict[str, Waveform] | None:
        return next(self._rows, None)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence the quantiser's advice, through the root logger, to optimise a graph that needs no optimising."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)


def quantize_convolutions(content: bytes, waveform: str, windows: Waveform) -> bytes:
    """Give the backbone's convolutions with weights, inputs and outputs in 8 bits, the ranges as `windows` show them.

    The range of a map is the mean of what its windows span. The largest value of all is often hundreds of standard
    deviations large: a range that held it would leave the usual values one or two steps. The matrices of the strides
    stay as they are: in 8 bits they cost more accuracy than time.

    Args:
        content: an ONNX file.
        waveform: the name of its input.
        windows: `(window, time)`, like those to come.
    """
    with tempfile.TemporaryDirectory() as folder, _without_advice():
        whole, small = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        whole.write_bytes(content)
        quantize_static(
            whole,
            small,
            _Windows(waveform, np.asarray(windows, np.float32)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            nodes_to_exclude=["/frontend/dft"],  # powers span more than 8 bits
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"CalibMovingAverage": True},  # the mean of the ranges that the reader's items have
        )
        return small.read_bytes()
