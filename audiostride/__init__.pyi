"""The public names of audiostride."""

from .comparison.compare import compare_runs as compare_runs
from .errors import ArgumentError as ArgumentError
from .errors import DataError as DataError
from .errors import UserError as UserError
from .frontend import LogMel as LogMel
from .layers import DiffStride as DiffStride
from .layers import SpectralPooling as SpectralPooling
from .layers import downsampling_matrix as downsampling_matrix
from .layers import spectral_pooling_matrix as spectral_pooling_matrix
from .loading import load as load
from .models.backbone import TimeFrequencyCnn as TimeFrequencyCnn
from .models.classifier import AudioClassifier as AudioClassifier
from .recipe.reader import load_recipe as load_recipe
from .runs.checkpoint import load_run as load_run
from .runs.scoring import score_run as score_run
from .strides.cutoffs import read_strides as read_strides
from .training.run import train as train
from .training.run import train_recipe as train_recipe

__version__: str
__all__: list[str]
