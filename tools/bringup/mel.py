"""Log-mel features on the GPU: docs/MODEL.md, section Mel; with a vocal-tract warp for training."""
import numpy as np
import torch

SCALE_BREAK, LOG_STEP = 15.0, np.log(6.4) / 27.0  # Slaney: linear below 1 kHz, logarithmic above


def hz_to_mel(hz):
    hz = np.asarray(hz, np.float64)
    return np.where(hz >= 1000, SCALE_BREAK + np.log(np.maximum(hz, 1e-9) / 1000) / LOG_STEP, 3 * hz / 200)


def mel_to_hz(mel):
    mel = np.asarray(mel, np.float64)
    return np.where(mel >= SCALE_BREAK, 1000 * np.exp(LOG_STEP * (mel - SCALE_BREAK)), 200 * mel / 3)


def filters(warp=1.0):
    """[201, 128] f32. `warp` moves the filters below 6.4 kHz, as a longer or shorter vocal tract would."""
    bins = np.linspace(0, 8000, 201)
    edges = mel_to_hz(np.linspace(hz_to_mel(0), hz_to_mel(8000), 130))
    top = 6400.0
    edges = np.where(edges < top, edges * warp, top * warp + (edges - top) * (8000 - top * warp) / (8000 - top))
    width = np.diff(edges)
    slope = edges[None] - bins[:, None]
    bank = np.maximum(0, np.minimum(-slope[:, :-2] / width[:-1], slope[:, 2:] / width[1:]))
    return (bank * (2.0 / (edges[2:] - edges[:-2]))).astype(np.float32)


def spectrum(x, window):
    """x [batch, samples] -> complex [batch, 201, samples / 160]."""
    return torch.stft(x, 400, 160, window=window, return_complex=True, center=True)[..., :-1]


def log_mel(power, bank):
    """power [batch, 201, frames] -> [batch, 128, frames]."""
    mel = (bank.transpose(-1, -2) @ power).clamp(min=1e-10).log10()
    return (mel.clamp(min=1.5 - 8.0) + 4.0) / 4.0
