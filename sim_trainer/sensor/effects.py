"""What lens, sensor and camera software do to a picture, in physical order, on uint8 images.

Lens blur -> motion blur -> vignetting -> exposure, white balance and tone -> shot and read noise
-> sharpening -> colour of the camera's software -> JPEG. Table look-ups keep a 350x256 picture
near 3 ms, because drawing the effects must not be dearer than the training step.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_BANK_SIZE_PX = 1024


@dataclass(frozen=True)
class SensorDraw:
    """One draw of the sensor: what ``apply_sensor`` reads. Zero or one means no effect."""

    blur_px: float
    motion_px: float
    motion_angle_rad: float
    vignette: float
    gains: tuple[float, float, float]
    gamma: float
    contrast: float
    offset: float
    noise_read: float
    noise_shot: float
    noise_coarse: bool
    noise_origin: tuple[int, int]
    sharpen: float
    saturation: float
    hue_shift_deg: float
    jpeg_quality: int


def draw_sensor(rng: np.random.Generator) -> SensorDraw:
    """A random sensor. Each law stands beside its key."""
    def some(probability: float, low: float, high: float, otherwise: float) -> float:
        value = rng.uniform(low, high)
        return float(value if rng.random() < probability else otherwise)

    tint = rng.normal(0, 0.06, 3)
    noise = rng.random() < 0.85
    return SensorDraw(
        blur_px=some(0.6, 0.2, 1.2, 0.0),
        motion_px=some(0.1, 1.5, 5.0, 0.0),
        motion_angle_rad=float(rng.uniform(0, np.pi)),
        vignette=some(0.25, 0.05, 0.4, 0.0),
        gains=tuple(float(g) for g in np.exp(rng.normal(0, 0.2) + tint)),
        gamma=float(np.exp(rng.normal(0, 0.18))),
        contrast=float(np.exp(rng.normal(0, 0.15))),
        offset=float(rng.normal(0, 10)),
        noise_read=float(rng.exponential(2.0) if noise else 0.0),
        noise_shot=float(rng.exponential(0.12) if noise else 0.0),
        noise_coarse=bool(rng.random() < 0.5),
        noise_origin=tuple(int(v) for v in rng.integers(0, _BANK_SIZE_PX // 2, 2)),
        sharpen=some(0.35, 0.2, 1.2, 0.0),
        saturation=some(0.6, 0.2, 1.6, 1.0) if rng.random() > 0.05 else 0.0,
        hue_shift_deg=some(0.4, -180.0, 180.0, 0.0),
        jpeg_quality=int(rng.integers(45, 96)) if rng.random() < 0.5 else 0)


_noise_banks: tuple[np.ndarray, np.ndarray] | None = None


def _noise_bank(coarse: bool) -> np.ndarray:
    """Unit-variance noise; the coarse one is correlated over pixels, as demosaicing leaves it."""
    global _noise_banks     # made once per process from a fixed seed: a constant in effect
    if _noise_banks is None:
        white = np.random.default_rng(0).standard_normal(
            (_BANK_SIZE_PX, _BANK_SIZE_PX, 3), dtype=np.float32)
        soft = cv2.GaussianBlur(white, (0, 0), 0.8)
        _noise_banks = (white, soft / soft.std())
    return _noise_banks[int(coarse)]


def apply_sensor(image_rgb: np.ndarray, draw: SensorDraw) -> np.ndarray:
    """The picture (H, W, 3) uint8 as that sensor would give it; a new array of the same size."""
    image = image_rgb
    if draw.blur_px:
        image = cv2.GaussianBlur(image, (0, 0), draw.blur_px)
    if draw.motion_px:
        image = cv2.filter2D(image, -1, _motion_kernel(draw.motion_px, draw.motion_angle_rad))
    if draw.vignette:
        image = cv2.multiply(image, _vignette(image.shape, draw.vignette), dtype=cv2.CV_8U)
    image = cv2.LUT(image, _tone_table(draw))
    if draw.noise_read or draw.noise_shot:
        image = _add_noise(image, draw)
    if draw.sharpen:
        soft = cv2.GaussianBlur(image, (0, 0), 1.0)
        image = cv2.addWeighted(image, 1 + draw.sharpen, soft, -draw.sharpen, 0)
    if draw.saturation != 1.0 or draw.hue_shift_deg:
        image = cv2.transform(image, _color_matrix(draw.saturation, draw.hue_shift_deg))
    if draw.jpeg_quality:
        coded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, draw.jpeg_quality])[1]
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return image


def _motion_kernel(length_px: float, angle_rad: float) -> np.ndarray:
    size = 2 * int(np.ceil(length_px / 2)) + 1
    kernel = np.zeros((size, size), np.float32)
    centre = (size - 1) / 2
    for t in np.linspace(-length_px / 2, length_px / 2, 4 * size):
        x, y = centre + t * np.cos(angle_rad), centre + t * np.sin(angle_rad)
        kernel[int(round(min(max(y, 0), size - 1))), int(round(min(max(x, 0), size - 1)))] += 1
    return kernel / kernel.sum()


def _vignette(shape: tuple[int, ...], strength: float) -> np.ndarray:
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
    return np.repeat((1 - strength * (x * x + y * y) / 2)[..., None], 3, axis=2)


def _tone_table(draw: SensorDraw) -> np.ndarray:
    level = np.arange(256, dtype=np.float64)[:, None] / 255
    toned = (level * np.array(draw.gains)) ** draw.gamma
    toned = (toned - 0.5) * draw.contrast + 0.5 + draw.offset / 255
    return np.clip(np.round(toned * 255), 0, 255).astype(np.uint8)[:, None, :]


def _add_noise(image: np.ndarray, draw: SensorDraw) -> np.ndarray:
    level = np.arange(256, dtype=np.float32)
    deviation = np.sqrt(draw.noise_read ** 2 + draw.noise_shot * level).astype(np.float32)
    y, x = draw.noise_origin
    height, width = image.shape[:2]
    bank = _noise_bank(draw.noise_coarse)
    rows = np.arange(y, y + height) % _BANK_SIZE_PX
    noise = bank[rows[0]:rows[0] + height, x:x + width]
    if noise.shape[:2] != (height, width):      # pictures larger than the bank
        noise = np.take(np.take(bank, rows, 0), np.arange(x, x + width) % _BANK_SIZE_PX, 1)
    scaled = cv2.multiply(cv2.LUT(image, deviation), noise)
    return cv2.add(image, scaled, dtype=cv2.CV_8U)


def _color_matrix(saturation: float, hue_shift_deg: float) -> np.ndarray:
    """A 3x3 that turns the hue about grey and scales the distance from grey."""
    axis = np.ones(3) / np.sqrt(3)
    angle = np.radians(hue_shift_deg)
    K = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    R = np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K
    grey = np.tile([0.299, 0.587, 0.114], (3, 1))
    return ((saturation * np.eye(3) + (1 - saturation) * grey) @ R).astype(np.float32)
