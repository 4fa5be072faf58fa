"""What is true of a drawn picture: which instances, where, and how much of each is seen."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.objects import ObjectModel
from dr_perception.core.transforms import invert_transform, transform_points
from sim_trainer.scene.record import SceneRecord

#: Silhouettes are filled with this many fractional bits (cv2.fillConvexPoly's shift).
_SHIFT = 4
#: Subpixels a pixel: cv2.fillConvexPoly also fills what the outline touches, so at the pixels' own
#: size a silhouette comes out half a pixel too wide all round.
_SUBPIXELS = 4
_MAX_SIDE_PX = 2048


@dataclass(frozen=True, eq=False)
class InstanceLabel:
    """One instance: catalogue index, ``T_camera_object`` and the visible part (0...1)."""

    object_index: int
    T_camera_object: np.ndarray
    visible_fraction: float


def label_scene(scene: SceneRecord, instance_ids: np.ndarray,
                catalogue: tuple[ObjectModel, ...]) -> list[InstanceLabel]:
    """Labels of every instance of a drawn scene, in the order of the instance ids.

    The visible fraction is the seen pixels over the whole silhouette's, the part outside the
    picture included: an object cut by the border is not wholly visible.
    """
    index = {model.name: i for i, model in enumerate(catalogue)}
    T_camera_base = invert_transform(scene.T_base_camera)
    seen = np.bincount(instance_ids.ravel(), minlength=len(scene.instances) + 1)
    labels = []
    for i, body in enumerate(scene.instances):
        model = catalogue[index[body.object_name]]
        T_camera_object = T_camera_base @ body.T_base_body
        whole = silhouette_area_px(model, T_camera_object, scene.camera)
        fraction = min(1.0, float(seen[i + 1]) / whole) if whole > 0 else 0.0
        labels.append(InstanceLabel(index[body.object_name], T_camera_object, fraction))
    return labels


def silhouette_area_px(model: ObjectModel, T_camera_object: np.ndarray, camera: PinholeCamera
                       ) -> int:
    """Pixels whose centre lies in the object's silhouette on an unbounded image."""
    pixels = camera.project(transform_points(T_camera_object, model.vertices_m))
    if not np.isfinite(pixels).all():
        return 0
    low = np.floor(pixels.min(0)) - 1
    size = np.ceil(pixels.max(0) - low).astype(int) + 2
    if size.max() > 2 * _MAX_SIDE_PX:
        return 0
    fine = int(np.clip(_MAX_SIDE_PX // size.max(), 1, _SUBPIXELS))
    mask = np.zeros(size[::-1] * fine, np.uint8)
    fixed = np.round((pixels - low) * (fine * 2 ** _SHIFT)).astype(np.int32)
    for face in model.faces:
        cv2.fillConvexPoly(mask, fixed[face], 1, shift=_SHIFT)
    return int(np.count_nonzero(mask[::fine, ::fine]))
