"""A part of a recording as a WAV file, sample by sample."""

import io
from pathlib import Path

import numpy as np
import soundfile as sf

from audiostride.data.audio import open_audio, read_channels, to_int16

FINE_SUBTYPES = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")  # of which 16 bits would lose something


def wav_excerpt(path: Path, start_s: float, end_s: float) -> bytes:
    """Cut a part out of a recording: a WAV file at the recording's own rate, with its channels.

    Samples of 16 bits or fewer stay as they are, and so do those of 24; others become the nearest of 24 bits, and what
    was compressed with a loss 16. A part that reaches beyond the recording ends with it.

    Args:
        path: the recording.
        start_s: where the part begins.
        end_s: where it ends.

    Raises:
        BadAudioError, RuntimeError: it cannot be decoded there. OSError: it cannot be read.
    """
    with open_audio(path) as file:
        start = min(round(max(0.0, start_s) * file.samplerate), file.frames - 1)
        end = min(max(start + 1, round(end_s * file.samplerate)), file.frames)
        if file.seekable():
            file.seek(start)
        else:  # some encodings are decoded from the beginning only
            for _ in read_channels(file, start, path):
                pass
        samples = np.concatenate(list(read_channels(file, end - start, path)))
        rate, fine = file.samplerate, file.subtype in FINE_SUBTYPES
    scaled = (
        np.clip(np.rint(samples * 2.0**23), -(2**23), 2**23 - 1).astype(np.int32) << 8 if fine else to_int16(samples)
    )
    content = io.BytesIO()
    sf.write(content, scaled, rate, format="WAV", subtype="PCM_24" if fine else "PCM_16")
    return content.getvalue()
