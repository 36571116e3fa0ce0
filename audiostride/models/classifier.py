"""Front end, backbone and one linear head per task, composed."""

from collections.abc import Mapping

from torch import Tensor, nn

from audiostride.frontend import LogMel
from audiostride.models.backbone import TimeFrequencyCnn


class AudioClassifier(nn.Module):
    """Waveform to logits of every task: log-mel, backbone, global max pooling, linear heads.

    Args:
        frontend: waveform to log-mel.
        backbone: log-mel to the last map.
        n_classes: number of classes per task.

    Shape:
        waveform: `(batch, time)`. output: per task `(batch, class)`.

    >>> model = AudioClassifier(LogMel(), TimeFrequencyCnn(width=0.25), {"words": 35})
    """

    def __init__(self, frontend: LogMel, backbone: TimeFrequencyCnn, n_classes: Mapping[str, int]) -> None:
        super().__init__()
        self.frontend = frontend
        self.backbone = backbone
        self.tasks = tuple(n_classes)
        self.heads = nn.ModuleDict(
            # prefixed, since a ModuleDict refuses names of its own methods such as "type"
            {f"task_{task}": nn.Linear(backbone.n_channels, n) for task, n in n_classes.items()}
        )

    def embed(self, waveform: Tensor) -> Tensor:
        """The pooled features `(batch, channel)` that the heads see."""
        return self.backbone(self.frontend(waveform)).amax(dim=(-2, -1))

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        embedding = self.embed(waveform)
        return {task: self.heads[f"task_{task}"](embedding) for task in self.tasks}
