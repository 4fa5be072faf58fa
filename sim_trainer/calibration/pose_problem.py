# Copyright 2026 dr_perception maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The camera's pose from points: robust least squares, every start tried, outliers named.

Convention:
    Parameters are (d, w, f): ``p_camera <- exp(w) p_camera + d`` along the camera's axes, about
    the camera's centre, and both focal lengths times ``1 + f``. Residuals are pixels, lens
    included.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import (invert_transform, make_transform, rotation_angle,
                                           rotation_from_rotvec, skew, transform_points)
import numpy as np
from sim_trainer.calibration.errors import CalibrationError
from sim_trainer.calibration.points import ImagePoints
from sim_trainer.calibration.pose_starts import flipped, starts

#: Residuals beyond this many deviations count linearly (Huber).
HUBER = 2.0
#: A point this many deviations off is an outlier.
OUTLIER = 4.5
#: What ``sigma_px`` is worth as an estimate of the noise: as much as this many residuals.
PRIOR_FREEDOM = 10.0
#: A fit begins with this part of the points, those that agree best, and is repeated.
_TRUSTED_PART, _CONCENTRATIONS, _EXPANSIONS = 0.6, 3, 8
#: Part of a point's variance that a fit leaves in its residual at least.
_LEAST_LEFT = 0.05
_MOST_STARTS = 6
#: A fit with a mean squared residual below this (in deviations) has no outliers to look for.
_AGREED = 1.5
_ITERATIONS, _REFUSALS = 60, 8
#: Two poses are the same, or too alike to start from both, below these: part of the distance,
#: radians.
_SAME, _START_APART = (1e-3, 2e-3), (0.03, 0.03)
#: A second pose whose cost (about chi squared) is no more than this above the best one's cannot
#: be ruled out: one in a hundred thousand would be above 20.
AMBIGUOUS_COST = 20.0


@dataclass(frozen=True, eq=False)
class CameraFit:
    """One solution.

    Attributes:
        T_camera_base: (4, 4).
        focal_share: change of the focal lengths that was fitted with it; 0 where it was kept.
        residuals_px: (N, 2) seen minus predicted, of all points.
        inliers: (N,) bool.
        noise_px: standard deviation per axis, from residuals and expectation.
        covariance: (6, 6) of (d, w), or (7, 7) with f; from the pixels and single marks.
        cost: robust sum of squares in deviations, about chi squared; of the inliers.
    """

    T_camera_base: np.ndarray
    focal_share: float
    residuals_px: np.ndarray
    inliers: np.ndarray
    noise_px: float
    covariance: np.ndarray
    cost: float

    @property
    def T_base_camera(self) -> np.ndarray:
        """The inverse."""
        return invert_transform(self.T_camera_base)


def solve_camera(points: ImagePoints, camera: PinholeCamera) -> list[CameraFit]:
    """All poses that explain the points, the best first; further ones are planar ambiguities.

    Args:
        points: checked by ``check_points``.
        camera: their camera.

    Raises:
        CalibrationError: no pose explains them.
    """
    limit_px = OUTLIER * max(points.sigma_px, 1.0)
    scored = sorted(starts(points, camera, limit_px), key=lambda start: start[0])
    tried: list[np.ndarray] = []
    fits: list[CameraFit] = []
    for _, T in scored:
        if any(_near(T, other, *_START_APART) for other in tried):
            continue
        tried.append(T)
        for start in (T, flipped(T, points)):
            fit = _fit(points, camera, start)
            if fit is not None and not any(_same(fit, other) for other in fits):
                fits.append(fit)
        against = min((_disagreement(points, camera, fit) for fit in fits), default=np.inf)
        if len(tried) == _MOST_STARTS or against < _AGREED * 2 * len(points.names):
            break
    fits.sort(key=lambda fit: _disagreement(points, camera, fit))
    if not fits:
        raise CalibrationError(
            'no camera pose explains the points; check that pixels belong to their places, and '
            'that x and y are not swapped')
    best = fits[0]
    scale = (best.noise_px / points.sigma_px) ** 2
    return [best, *(fit for fit in (_refit(points, camera, other, best.inliers)
                                    for other in fits[1:])
                    if fit is not None and not _same(fit, best)
                    and fit.cost < best.cost + AMBIGUOUS_COST * scale)]


def refine_focal(points: ImagePoints, camera: PinholeCamera, fit: CameraFit) -> CameraFit | None:
    """Return the fit with the focal length free; None where the points do not tell it."""
    refined = _minimized(points, camera, fit.T_camera_base, fit.inliers, free_focal=True)
    if refined is None or not np.isfinite(refined.covariance).all():
        return None
    return refined


def jacobian(points: ImagePoints, camera: PinholeCamera, T_camera_base: np.ndarray
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted pixels (N, 2), derivatives (N, 2, 7) by (d, w, f), and (N, 2, 3) by the place."""
    p = transform_points(T_camera_base, points.points_base_m)
    by_p = np.empty((len(p), 2, 3))
    step = 1e-6 * np.maximum(np.abs(p[:, 2:]), 1e-3)
    for axis in range(3):
        shift = np.zeros_like(p)
        shift[:, axis:axis + 1] = step
        by_p[:, :, axis] = (camera.project(p + shift) - camera.project(p - shift)) / (2 * step)
    pixels = camera.project(p)
    by_focal = pixels - [camera.cx_px, camera.cy_px]
    return pixels, np.concatenate([by_p, -by_p @ skew(p), by_focal[..., None]], 2), (
        by_p @ T_camera_base[:3, :3])


def _fit(points: ImagePoints, camera: PinholeCamera, T: np.ndarray) -> CameraFit | None:
    """Fit of the points that agree best with a start, then of all that agree with that fit."""
    count = len(points.names)
    least = min(count, max(4, math.ceil(_TRUSTED_PART * count)))
    pixels = camera.project(transform_points(T, points.points_base_m))
    apart = np.nan_to_num(np.linalg.norm(pixels - points.pixels, axis=1), nan=np.inf)
    fit: CameraFit | None = None
    for _ in range(_CONCENTRATIONS):
        fit = _minimized(points, camera, T if fit is None else fit.T_camera_base,
                         apart <= np.sort(apart)[least - 1])
        if fit is None:
            return None
        apart = np.linalg.norm(fit.residuals_px, axis=1)
    for _ in range(_EXPANSIONS):
        good = _deviations(points, camera, fit) < OUTLIER
        if good.sum() < least:
            good = apart <= np.sort(apart)[least - 1]
        if (good == fit.inliers).all():
            break
        fit = _minimized(points, camera, fit.T_camera_base, good)
        if fit is None:
            return None
        apart = np.linalg.norm(fit.residuals_px, axis=1)
    return fit


def _deviations(points: ImagePoints, camera: PinholeCamera, fit: CameraFit) -> np.ndarray:
    """(N,) residuals in deviations, with how far the fit itself is unsure of each point.

    A point that was not used is as far from the fit as its own error and the fit's together; of
    one that was used, the fit has taken a part.
    """
    state = _whitened(points, camera, fit.T_camera_base)
    if state is None:
        return np.full(len(points.names), np.inf)
    r, J = state
    scale = (fit.noise_px / points.sigma_px) ** 2
    of_fit = J[..., :6] @ fit.covariance[:6, :6] @ J[..., :6].transpose(0, 2, 1)
    sign = np.where(fit.inliers, -1.0, 1.0)[:, None, None]
    values, vectors = np.linalg.eigh(scale * np.eye(2) + sign * of_fit)
    turned = (vectors.transpose(0, 2, 1) @ r[..., None])[..., 0]
    return np.sqrt((turned ** 2 / np.maximum(values, _LEAST_LEFT * scale)).sum(1))


def _disagreement(points: ImagePoints, camera: PinholeCamera, fit: CameraFit) -> float:
    """Return what all points say against a fit, no single one more than an outlier."""
    state = _whitened(points, camera, fit.T_camera_base)
    if state is None:
        return np.inf
    return float(np.minimum((state[0] ** 2).sum(1), OUTLIER ** 2).sum())


def _refit(points: ImagePoints, camera: PinholeCamera, fit: CameraFit, inliers: np.ndarray
           ) -> CameraFit | None:
    return _minimized(points, camera, fit.T_camera_base, inliers)


def _minimized(points: ImagePoints, camera: PinholeCamera, T: np.ndarray, inliers: np.ndarray,
               free_focal: bool = False) -> CameraFit | None:
    """Levenberg-Marquardt with Huber weights over the inliers; None behind the camera."""
    used, size = points.take(inliers), 7 if free_focal else 6
    share, damping, cost = 0.0, 1e-4, np.inf
    T = T.copy()
    for _ in range(_ITERATIONS):
        zoomed = _zoomed(camera, share)
        state = _whitened(used, zoomed, T)
        if state is None:
            return None
        r, J = state
        weights = np.minimum(1.0, HUBER / np.maximum(np.linalg.norm(r, axis=1), 1e-12))
        cost = _robust_cost(r)
        J = J[..., :size]
        hessian = np.einsum('n,nki,nkj->ij', weights, J, J)
        gradient = np.einsum('n,nki,nk->i', weights, J, r)
        moved = False
        for _ in range(_REFUSALS):
            try:
                step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
            except np.linalg.LinAlgError:
                return None
            trial = _moved(T, step)
            trial_share = share + (step[6] * (1 + share) if free_focal else 0.0)
            after = _whitened(used, _zoomed(camera, trial_share), trial) if (
                abs(trial_share) < 0.7) else None
            gain = -1.0 if after is None else cost - _robust_cost(after[0])
            if gain >= 0:
                moved, damping = True, damping / 5
                break
            damping *= 6
        if not moved:
            break
        T, share = trial, trial_share
        if np.abs(step).max() < 1e-9 or gain < 1e-10 * cost:
            break
    return _fit_at(points, _zoomed(camera, share), T, inliers, share, size)


def _fit_at(points: ImagePoints, camera: PinholeCamera, T: np.ndarray, inliers: np.ndarray,
            share: float, size: int) -> CameraFit | None:
    state = _whitened(points.take(inliers), camera, T)
    if state is None:
        return None
    r, J = state
    J = J[..., :size]
    freedom = max(2 * len(r) - size, 0)
    # Scaled inverse chi squared: few residuals say little of the noise.
    scale = (PRIOR_FREEDOM + float((r ** 2).sum())) / (PRIOR_FREEDOM + freedom)
    information = np.einsum('nki,nkj->ij', J, J)
    if np.linalg.matrix_rank(information) < size:
        return None
    pixels = camera.project(transform_points(T, points.points_base_m))
    return CameraFit(T, share, points.pixels - pixels, inliers,
                     points.sigma_px * float(np.sqrt(scale)),
                     np.linalg.inv(information) * scale, _robust_cost(r))


def _whitened(points: ImagePoints, camera: PinholeCamera, T: np.ndarray
              ) -> tuple[np.ndarray, np.ndarray] | None:
    """Residuals (N, 2) and derivatives (N, 2, 7) in deviations; None behind the camera."""
    if (transform_points(T, points.points_base_m)[:, 2] < 1e-3).any():
        return None
    pixels, by_pose, by_place = jacobian(points, camera, T)
    covariance = (points.sigma_px ** 2 * np.eye(2)
                  + points.sigma_m ** 2 * by_place @ by_place.transpose(0, 2, 1))
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    r = (root @ (points.pixels - pixels)[..., None])[..., 0]
    return (r, root @ by_pose) if np.isfinite(r).all() else None


def _robust_cost(r: np.ndarray) -> float:
    a = np.linalg.norm(r, axis=1)
    return float(np.where(a <= HUBER, a * a, 2 * HUBER * a - HUBER ** 2).sum())


def _moved(T: np.ndarray, step: np.ndarray) -> np.ndarray:
    R = rotation_from_rotvec(step[3:6])
    return make_transform(R @ T[:3, :3], R @ T[:3, 3] + step[:3])


def _zoomed(camera: PinholeCamera, share: float) -> PinholeCamera:
    return replace(camera, fx_px=camera.fx_px * (1 + share), fy_px=camera.fy_px * (1 + share))


def _same(a: CameraFit, b: CameraFit) -> bool:
    return _near(a.T_camera_base, b.T_camera_base, *_SAME)


def _near(a: np.ndarray, b: np.ndarray, part: float, angle_rad: float) -> bool:
    """Whether two T_camera_base differ by less than a part of the distance and by an angle."""
    apart = np.linalg.norm(invert_transform(a)[:3, 3] - invert_transform(b)[:3, 3])
    return bool(apart < part * max(np.linalg.norm(a[:3, 3]), 0.1)
                and rotation_angle(a[:3, :3].T @ b[:3, :3]) < angle_rad)
