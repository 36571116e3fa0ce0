"""The words that recipes and classes share, and which settings go together. It needs no torch."""

import math
from typing import Literal

AxisName = Literal["time", "frequency"]
Kind = Literal["single", "multilabel"]  # of a task: one class, or any number of them
Measure = Literal["accuracy", "macro_f1", "map"]  # by which the best checkpoint is chosen
Downsampling = Literal["strided_conv", "spectral_pooling", "fixed_stride", "diffstride"]
MelScale = Literal["htk", "slaney"]
NoiseColour = Literal["white", "pink", "brown"]
Normalization = Literal["none", "mean", "standard", "peak"]
Order = Literal["conv_pool_relu_bn", "conv_relu_bn_pool"]
Placement = Literal["per_axis", "per_block"]
Pooling = Literal["max", "mean", "max_mean"]  # of the last maps
Ramp = Literal["outside", "inside", "folded"]
Schedule = Literal["constant", "cosine", "step", "one_cycle"]
OptimizerKind = Literal["adam", "adamw", "sgd"]
BatchNormKind = Literal["synchronised", "local"]  # of several processes that train one model
Precision = Literal["fp32", "bf16"]
Format = Literal["csv", "jsonl", "raven", "audacity", "parquet"]  # of predictions
Encoding = Literal["s16le", "f32le"]  # of raw samples
LabelFrom = Literal["folder", "parent"]  # what names the class of a recording
ValidFold = Literal["next", "none"]  # of a cross-validation: the one after that of the test, or none
Sampler = Literal["tpe", "random"]  # of a search
CheckpointName = Literal["best", "last"]  # of a run
DEVICES = ("auto", "cpu", "cuda", "mps")

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # of a cell that spreadsheets compute
LABELS_COLUMN = "labels"  # of a manifest: any number of classes

BACKBONE = "time_frequency_cnn"  # the name of the package's own in recipes
CHANNELS = (64, 128, 256, 256, 512, 512)  # of the blocks
N_BLOCKS = len(CHANNELS)
STRIDES = (2.0, 2.0, 1.0, 2.0, 1.0, 2.0)  # of either axis, where training begins
BACKBONE_STRIDES = {  # of either axis of the package's backbones, where training begins
    BACKBONE: STRIDES,
    "resnet18": (2.0, 2.0, 2.0),
    "densenet_bc121": (2.0, 2.0),
    "efficientnet_b0": (2.0, 2.0, 2.0, 2.0, 1.0, 2.0, 1.0),
}
STRIDE_RANGE = (1.0, 3.0)  # of random strides
SMOOTHNESS = 4.0  # Fourier bins of the ramp, as in the paper
FOLDED_SMOOTHNESS = 16.0  # where a ramp that folds begins to learn its width
MIN_SMOOTHNESS = 1.0  # a narrower ramp may hold no bin, and gives its stride no gradient then
MAX_SMOOTHNESS = 1e6
SMOOTHNESS_RATE = 4.0  # learning rate of the logarithm of the smoothness, in that of the strides
EVENT_THRESHOLD = 0.5  # probability of a detection, where none was chosen
MAX_STRIDE = 1e6
MOMENTUM = 0.9  # of sgd
DECAY_FACTOR = 0.1  # of a learning rate that falls in steps
MIN_RATE_HZ = 1000  # of sound to predict: a few bytes at 1 Hz would be minutes of work
MAX_WINDOW_S = 3600
MAX_UPLOAD_MB, MAX_UPLOAD_S, UPLOAD_TIMEOUT_S = 50.0, 600.0, 60.0  # of `serve`, where nothing else is said
OPSET = 17  # of exported models: the version of the ONNX operators


def check_frontend(
    sample_rate: int,
    *,
    n_fft: int,
    win_length: int,
    hop_length: int,
    n_mels: int,
    f_min: float,
    f_max: float,
    offset: float,
) -> None:
    """Raise ValueError naming the setting that no log-mel spectrogram can have."""
    if not 0 < win_length <= n_fft:
        raise ValueError(f"win_length must be above 0 and at most n_fft={n_fft}, got {win_length}")
    if not 0 < hop_length <= win_length:
        raise ValueError(f"hop_length must be above 0 and at most win_length={win_length}, got {hop_length}")
    if not 0 <= f_min < f_max <= sample_rate / 2:
        raise ValueError(
            f"f_min and f_max must satisfy 0 <= f_min < f_max <= {sample_rate / 2:g} Hz, "
            f"half of sample_rate={sample_rate}; got f_min={f_min:g}, f_max={f_max:g}"
        )
    if not 0 < offset < math.inf:
        raise ValueError(f"offset must be a finite number above 0, got {offset}")
    if not 0 < n_mels <= n_fft // 2:
        raise ValueError(f"n_mels must be above 0 and at most n_fft / 2 = {n_fft // 2}, got {n_mels}")
