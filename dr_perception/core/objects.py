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

"""An object as trainer and runtime share it: mesh, keypoints, symmetries, resting faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import re
from typing import Any

from dr_perception.core.errors import ContractError
from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import check_transform
import numpy as np


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """A rigid object, in its own frame, metres.

    Attributes:
        name: catalogue name, also used in topics and TF frames.
        vertices_m: (V, 3).
        faces: (F, 3) int, counter-clockwise seen from outside.
        keypoints_m: (K, 3); the first is the origin of the object frame.
        symmetry: its symmetry group.
        resting_downs: (R, 3) unit vectors of the object frame that point straight down when the
            object rests on one of its stable faces.
        resting_heights_m: (R,) height of the object's origin above the support plane then.
        subframes: name -> ``T_object_subframe`` (4, 4), named places on the object such as
            grasps; may be empty.
    """

    name: str
    vertices_m: np.ndarray
    faces: np.ndarray
    keypoints_m: np.ndarray
    symmetry: Symmetry
    resting_downs: np.ndarray
    resting_heights_m: np.ndarray
    subframes: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def extents_m(self) -> np.ndarray:
        """(3,) size of the axis-aligned bounding box in the object frame."""
        return self.vertices_m.max(0) - self.vertices_m.min(0)

    @property
    def diameter_m(self) -> float:
        """Largest distance of two vertices."""
        # Vertices are few (primitives, simplified meshes): the full table is affordable.
        v = self.vertices_m[:: max(1, len(self.vertices_m) // 500)]
        return float(np.linalg.norm(v[:, None] - v[None], axis=-1).max())

    def to_json(self) -> dict[str, Any]:
        """Return the object as JSON values (lists of floats, metres)."""
        subframes = {name: np.round(T, 9).tolist() for name, T in self.subframes.items()}
        return {
            **({'subframes': subframes} if subframes else {}),
            'name': self.name,
            'vertices_m': np.round(self.vertices_m, 7).tolist(),
            'faces': np.asarray(self.faces).tolist(),
            'keypoints_m': np.round(self.keypoints_m, 7).tolist(),
            'symmetry_transforms': np.round(self.symmetry.transforms, 9).tolist(),
            'symmetry_continuous_about_z': bool(self.symmetry.continuous_about_z),
            'resting_downs': np.round(self.resting_downs, 9).tolist(),
            'resting_heights_m': np.round(self.resting_heights_m, 7).tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ObjectModel:
        """Return the inverse of ``to_json``.

        Raises:
            ContractError: a key is missing, an array has the wrong shape or is not finite.
        """
        name = data.get('name', '?') if isinstance(data, dict) else '?'
        try:
            model = cls(
                name=str(data['name']),
                vertices_m=_array(data, 'vertices_m', (None, 3)),
                faces=_array(data, 'faces', (None, 3)).astype(np.int64),
                keypoints_m=_array(data, 'keypoints_m', (None, 3)),
                symmetry=Symmetry(_array(data, 'symmetry_transforms', (None, 4, 4)),
                                  bool(data['symmetry_continuous_about_z'])),
                resting_downs=_array(data, 'resting_downs', (None, 3), may_be_empty=True),
                resting_heights_m=_array(data, 'resting_heights_m', (None,)),
                subframes=_subframes(data.get('subframes', {})))
        except KeyError as error:
            raise ContractError(f'object {name!r} of the contract lacks {error}') from error
        except (TypeError, ValueError, OverflowError) as error:
            raise ContractError(f'object {name!r} of the contract: {error}') from error
        if len(model.resting_downs) != len(model.resting_heights_m):
            raise ContractError(
                f'object {name!r} of the contract: {len(model.resting_downs)} resting_downs but '
                f'{len(model.resting_heights_m)} resting_heights_m; expected as many')
        if model.faces.size and (model.faces.min() < 0
                                 or model.faces.max() >= len(model.vertices_m)):
            raise ContractError(f'object {name!r} of the contract: a face names a vertex outside '
                                f'0...{len(model.vertices_m) - 1}')
        return model


def is_frame_name(name: str) -> bool:
    """Whether a name has ASCII letters, digits and underscores alone, as frames and topics must.

    Topics may not begin with a digit; frames may.
    """
    return re.fullmatch('[A-Za-z0-9_]+', name) is not None


def is_object_name(name: str) -> bool:
    """Whether a name can be an object's: it becomes a topic and a TF frame."""
    return is_frame_name(name) and name[0].isalpha()


def _subframes(data: Any) -> dict[str, np.ndarray]:
    """Named ``T_object_subframe``; contracts that were written before they existed have none."""
    if not isinstance(data, dict):
        raise ValueError(f'subframes is a {type(data).__name__}; expected names and transforms')
    frames = {}
    for name, rows in data.items():
        if not is_frame_name(name):
            raise ValueError(f'subframes: the name {name[:40]!r} has other signs than letters, '
                             'digits and underscores')
        frames[name] = check_transform(rows, f'subframe {name!r}')
    return frames


def _array(data: dict[str, Any], key: str, shape: tuple[int | None, ...],
           may_be_empty: bool = False) -> np.ndarray:
    array = np.asarray(data[key], dtype=np.float64)
    if may_be_empty and array.shape == (0,):     # JSON keeps no shape of an empty array
        array = array.reshape([want or 0 for want in shape])
    if array.ndim != len(shape) or any(
            want is not None and want != got for want, got in zip(shape, array.shape)):
        raise ValueError(f'{key} has shape {array.shape}; expected {shape}')
    if not np.isfinite(array).all():
        raise ValueError(f'{key} holds NaN or infinity')
    return array
