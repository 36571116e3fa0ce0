"""A moving average of the weights, which is validated and saved in their place."""

import copy

import torch

from audiostride.models.classifier import AudioClassifier

N_DELAY = 9  # steps: until step n the average reaches back over about n / 9 steps at most


class WeightAverage:
    """Hold the exponential moving average of a model's parameters over the steps of training.

    Strides are averaged as they are, which keeps them at 1 or more, and ramps by the logarithm of their width.
    Buffers, such as the statistics of batch norms, are those of the newest step.

    Args:
        model: that is trained; the average begins as a copy.
        decay: share of the average that a step keeps, in [0, 1). The first steps keep less, `n / (n + 9)` after n
            steps: an average that began at random weights would take 1 / (1 - decay) steps to forget them.

    Attributes:
        model: a classifier with the averaged weights.
        n_steps: that were averaged.

    Reference:
        Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992. The smaller decay of the
        first steps is that of TensorFlow's `ExponentialMovingAverage`, but for the first, which is taken whole.
    """

    def __init__(self, model: AudioClassifier, decay: float) -> None:
        self.model = copy.deepcopy(model)
        self.decay = decay
        self.n_steps = 0

    @torch.no_grad()
    def update(self, model: AudioClassifier) -> None:
        """Take in the weights of a model after a step."""
        decay = min(self.decay, self.n_steps / (self.n_steps + N_DELAY))
        for average, parameter in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)
        for buffer, newest in zip(self.model.buffers(), model.buffers(), strict=True):
            buffer.copy_(newest)
        self.n_steps += 1
