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

"""Rigid transforms and rotations.

Convention:
    ``T_a_b`` (4x4, float64) maps points of frame b to frame a: ``p_a = T_a_b @ p_b``, so chains
    cancel: ``T_base_object = T_base_camera @ T_camera_object``. Quaternions are ``quat_xyzw``
    (REP 103). ``camera`` is always the optical frame: x right, y down, z forward.
"""

from __future__ import annotations

import math

import numpy as np


def make_transform(R_a_b: np.ndarray, t_a_b: np.ndarray) -> np.ndarray:
    """Join a rotation (3x3) and a translation (3, metres) into ``T_a_b`` (4x4)."""
    T_a_b = np.eye(4)
    T_a_b[:3, :3] = R_a_b
    T_a_b[:3, 3] = t_a_b
    return T_a_b


def invert_transform(T_a_b: np.ndarray) -> np.ndarray:
    """``T_b_a`` of a rigid ``T_a_b`` (4x4)."""
    R_b_a = T_a_b[:3, :3].T
    return make_transform(R_b_a, -R_b_a @ T_a_b[:3, 3])


def transform_points(T_a_b: np.ndarray, points_b: np.ndarray) -> np.ndarray:
    """Map points (N, 3) of frame b to frame a."""
    return points_b @ T_a_b[:3, :3].T + T_a_b[:3, 3]


def check_transform(T_a_b: np.ndarray, name: str) -> np.ndarray:
    """Return ``T_a_b`` as float64 4x4.

    Raises:
        ValueError: not 4x4, not finite, or its upper left is not a rotation.
    """
    matrix = np.asarray(T_a_b, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise ValueError(f'{name} has shape {matrix.shape}; expected a 4x4 transform')
    if not np.isfinite(matrix).all():
        raise ValueError(f'{name} holds NaN or infinity; expected a finite 4x4 transform')
    R = matrix[:3, :3]
    defect = np.abs(R @ R.T - np.eye(3)).max()
    if defect > 1e-3 or np.linalg.det(R) < 0:
        raise ValueError(
            f'{name}: its 3x3 part is not a rotation (|R R^T - 1| = {defect:.2g}, '
            f'determinant {np.linalg.det(R):.3g}); give an orthonormal right-handed matrix')
    if np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise ValueError(f'{name}: its last row is {matrix[3]}; expected 0 0 0 1')
    return matrix


def skew(vectors: np.ndarray) -> np.ndarray:
    """Return matrices (..., 3, 3) whose products with b are the cross products a × b."""
    v = np.asarray(vectors, dtype=np.float64)
    out = np.zeros(v.shape[:-1] + (3, 3))
    out[..., 0, 1], out[..., 0, 2] = -v[..., 2], v[..., 1]
    out[..., 1, 0], out[..., 1, 2] = v[..., 2], -v[..., 0]
    out[..., 2, 0], out[..., 2, 1] = -v[..., 1], v[..., 0]
    return out


def rotation_from_rotvec(rotvecs: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3), radians (Rodrigues)."""
    v = np.asarray(rotvecs, dtype=np.float64)
    half = np.maximum(0.5 * np.sqrt((v * v).sum(-1)), 1e-12)[..., None, None]
    # With sin(a) = 2 sin(a / 2) cos(a / 2) and 1 - cos(a) = 2 sin^2(a / 2) small angles keep
    # their digits.
    ratio = np.sin(half) / half
    K = skew(v)
    return np.eye(3) + ratio * np.cos(half) * K + 0.5 * ratio * ratio * (K @ K)


def rotvec_from_rotation(R: np.ndarray) -> np.ndarray:
    """Rotation vector (3, radians, norm in [0, pi]) of a rotation matrix."""
    quat = quat_xyzw_from_rotation(R)
    sine = np.linalg.norm(quat[:3])
    if sine < 1e-12:
        return np.zeros(3)
    return quat[:3] / sine * 2.0 * np.arctan2(sine, quat[3])


def rotation_about(axis: str, angle_rad: float) -> np.ndarray:
    """Rotation matrix about the axis 'x', 'y' or 'z'."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    i = 'xyz'.index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    R = np.zeros((3, 3))
    R[i, i], R[j, j], R[k, k], R[j, k], R[k, j] = 1.0, c, c, -s, s
    return R


def rotation_angle(R: np.ndarray) -> np.ndarray:
    """Angle (radians, 0...pi) of rotation matrices (..., 3, 3).

    Uses sine and cosine together, so that small angles keep their digits.
    """
    cosine = (np.trace(R, axis1=-2, axis2=-1) - 1.0) / 2.0
    axis = np.stack([R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0],
                     R[..., 1, 0] - R[..., 0, 1]], -1)
    return np.arctan2(np.linalg.norm(axis, axis=-1) / 2.0, cosine)


def rotation_from_quat_xyzw(quat_xyzw: np.ndarray) -> np.ndarray:
    """Rotation matrix of a quaternion (x, y, z, w); it is normalized first.

    Raises:
        ValueError: zero or non-finite quaternion.
    """
    q = np.asarray(quat_xyzw, dtype=np.float64)
    norm = np.linalg.norm(q)
    if not np.isfinite(norm) or norm < 1e-9:
        raise ValueError(f'quaternion {q} has no direction; expected x, y, z, w of unit norm')
    x, y, z, w = q / norm
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])


def quat_xyzw_from_rotation(R: np.ndarray) -> np.ndarray:
    """Return unit quaternion (x, y, z, w), w >= 0, of a rotation matrix.

    Source: Shepperd 1978; the largest of the four candidates is divided by, never a small one.
    """
    rows = np.asarray(R, dtype=np.float64).tolist()     # plain numbers are ten times as fast
    diagonal = [rows[0][0], rows[1][1], rows[2][2]]
    trace = sum(diagonal)
    largest = max(*diagonal, trace)
    if trace == largest:
        q = [rows[2][1] - rows[1][2], rows[0][2] - rows[2][0], rows[1][0] - rows[0][1],
             1.0 + trace]
    else:
        i = diagonal.index(largest)
        j, k = (i + 1) % 3, (i + 2) % 3
        q = [0.0] * 4
        q[i] = 1.0 + rows[i][i] - rows[j][j] - rows[k][k]
        q[j] = rows[j][i] + rows[i][j]
        q[k] = rows[k][i] + rows[i][k]
        q[3] = rows[k][j] - rows[j][k]
    norm = math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    return np.array(q) / (-norm if q[3] < 0 else norm)


def rotate_covariance(R_a_b: np.ndarray, covariance_b: np.ndarray) -> np.ndarray:
    """Turn poses' covariances (..., 6, 6) about the axes of frame b to the axes of frame a.

    The tangent stays at the object's origin, so both 3x3 blocks only turn with the axes. The
    result is symmetric to the last bit, which the product alone is not.
    """
    J = np.zeros((6, 6))
    J[:3, :3] = J[3:, 3:] = R_a_b
    turned = J @ np.asarray(covariance_b, dtype=np.float64) @ J.T
    return (turned + np.swapaxes(turned, -1, -2)) / 2


def look_at(position: np.ndarray, target: np.ndarray, up: np.ndarray = (0.0, 0.0, 1.0),
            roll_rad: float = 0.0) -> np.ndarray:
    """``T_base_camera`` of an optical frame at ``position`` (3, metres) that looks at ``target``.

    With ``roll_rad`` 0 the image's x axis is perpendicular to ``up`` (horizontal).

    Raises:
        ValueError: the view direction is parallel to ``up``, or has no length.
    """
    position, target = np.asarray(position, float), np.asarray(target, float)
    forward = target - position
    right = np.cross(forward, np.asarray(up, float))
    if np.linalg.norm(forward) < 1e-9 or np.linalg.norm(right) < 1e-9 * np.linalg.norm(forward):
        raise ValueError(f'a camera at {position} looking at {target} has no defined horizon; '
                         'move one of the two')
    z = forward / np.linalg.norm(forward)
    x = right / np.linalg.norm(right)
    R = np.stack([x, np.cross(z, x), z], axis=1) @ rotation_about('z', roll_rad)
    return make_transform(R, position)
