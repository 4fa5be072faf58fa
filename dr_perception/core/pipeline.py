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

"""From a picture to detections: preprocessing, network, decoding, pose, score.

The same code serves the robot and the offline evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
import time
from typing import Protocol

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.candidates import Candidates
from dr_perception.core.contract import ModelContract
from dr_perception.core.decoding import find_candidates
from dr_perception.core.edges.mesh_edges import MeshEdges
from dr_perception.core.edges.refinement import EdgeRefinement, Refined
from dr_perception.core.plane_scale import plane_channel, with_channel
from dr_perception.core.pose_solving import (PoseFit, scaled_covariance, shift_covariance,
                                             solve_poses)
from dr_perception.core.preprocessing import network_input, NetworkInput
from dr_perception.core.resting import RestingPoses
from dr_perception.core.scoring import covariance_factors, score, score_features
from dr_perception.core.silhouette import SilhouetteArea
from dr_perception.core.support_plane import SupportPlane
from dr_perception.core.suppression import strongest, without_shadowed
from dr_perception.core.trained_range import TrainedRange
from dr_perception.core.transforms import check_transform
import numpy as np

#: Standard deviation of a Laplace law of scale 1.
LAPLACE_DEVIATION = np.sqrt(2.0)


class Network(Protocol):
    """Anything that runs the model's graph."""

    def run(self, image_rgb: np.ndarray) -> Mapping[str, np.ndarray]:
        """Compute outputs by name, float32 (1, channels, h, w), of (1, H, W, C) uint8.

        C is the contract's ``input.channels``.
        """


@dataclass(frozen=True, eq=False)
class Detection:
    """One object found.

    Attributes:
        object_name: catalogue name.
        score: calibrated probability (0...1) that the position is right within 2 cm.
        T_camera_object: (4, 4), metres, in the camera's optical frame.
        covariance: (6, 6) of (x, y, z, rotation about x, y, z), m and rad, along the camera's
            axes and about the object's origin (REP 103 order).
        out_of_range: why training did not cover such a detection: some of 'distance',
            'view angle', 'image border'. Score and covariance are then only extrapolated.
    """

    object_name: str
    score: float
    T_camera_object: np.ndarray
    covariance: np.ndarray
    out_of_range: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RawDetections:
    """What calibration needs before scores and thresholds: candidates with their fits.

    Attributes:
        candidates: M of them.
        fit: of each.
        features: (M, F) of ``scoring.score_features``.
        plane: (M, 6, 6) what the support plane says of each pose; zeros off the plane.
        shift: (M, 3, 3) covariance of the position from the camera's calibration.
    """

    candidates: Candidates
    fit: PoseFit
    features: np.ndarray
    plane: np.ndarray
    shift: np.ndarray


class PosePipeline:
    """Joins the parts for one model. Not safe for concurrent calls."""

    def __init__(self, contract: ModelContract, network: Network) -> None:
        self.contract = contract
        self._network = network
        self._resting = [RestingPoses.of(model) for model in contract.objects]
        self._keypoints_m = np.stack([model.keypoints_m for model in contract.objects])
        self._trained_range = TrainedRange(contract.trained_range)
        self._silhouettes = [SilhouetteArea(model.vertices_m) for model in contract.objects]
        self._edges = EdgeRefinement(MeshEdges(contract.objects))
        self._diameters_m = np.array([model.diameter_m for model in contract.objects])
        self._timing_ms: dict[str, float] = {}
        self._support: SupportPlane | None = None
        self._plane_place: tuple | None = None      # what ``_plane_channel`` is of
        self._plane_channel = np.zeros((0, 0), np.uint8)

    @property
    def last_timing_ms(self) -> dict[str, float]:
        """Milliseconds of the last call: preprocess, network, decode, pose, and score."""
        return dict(self._timing_ms)

    def estimate(self, image_rgb: np.ndarray, camera: PinholeCamera,
                 T_base_camera: np.ndarray | None = None) -> list[Detection]:
        """Every visible instance above the model's threshold, the surest first.

        Args:
            image_rgb: (H, W, 3) uint8, of the camera's size.
            camera: its calibration.
            T_base_camera: (4, 4) pose of the camera in the base frame; with it the support plane
                takes part. None: the pose comes from the camera alone, and its distance is as
                uncertain as one small object's apparent size makes it; the scores, which are the
                probability of being right within 2 cm, are then low.

        Raises:
            ImageError: the picture cannot be used.
            ValueError: ``T_base_camera`` is no rigid transform.
        """
        raw = self.detect(image_rgb, camera, T_base_camera)
        if T_base_camera is not None:
            T_base_camera = self._support.T_base_camera     # checked, and an array
        detected_at = time.perf_counter()
        decoder = self.contract.decoder
        kinds = raw.candidates.object_index
        standing = score(raw.features, decoder.score_weights, kinds, decoder.score_biases)
        on_plane = raw.fit.on_plane
        scores = np.where(on_plane, standing, score(
            raw.features, decoder.camera_score_weights, kinds, decoder.camera_score_biases))
        # What leaves a known plane has to be sure of it: things of another size do that, too.
        # With no plane to leave, being there does not depend on how well the distance is known.
        presence = standing if T_base_camera is None else scores
        scales = np.where(
            on_plane, covariance_factors(raw.features, decoder.covariance_scale,
                                         decoder.covariance_weights),
            covariance_factors(raw.features, decoder.camera_covariance_scale,
                               decoder.camera_covariance_weights))
        kept = [i for i in strongest(presence, raw.fit.T_camera_object[:, :3, 3],
                                     self._diameters_m[kinds])
                if presence[i] >= decoder.score_threshold]
        covariance = scaled_covariance(raw.fit.covariance, scales,
                                       raw.plane * (not decoder.plane_scaled))
        covariance[:, :3, :3] += raw.shift
        kept.sort(key=lambda i: -scores[i])
        poses, kept_kinds = raw.fit.T_camera_object[kept], kinds[kept]
        reasons = self._trained_range.reasons(
            poses, [self._silhouettes[k].points_m for k in kept_kinds], camera, T_base_camera)
        detections = [
            Detection(self.contract.objects[kind].name, float(scores[i]), T_camera_object,
                      covariance[i], why)
            for i, kind, T_camera_object, why in zip(kept, kept_kinds, poses, reasons)]
        self._timing_ms['score'] = (time.perf_counter() - detected_at) * 1e3
        return detections

    def detect(self, image_rgb: np.ndarray, camera: PinholeCamera,
               T_base_camera: np.ndarray | None = None) -> RawDetections:
        """All candidates with their poses, before score, suppression and threshold."""
        start = time.perf_counter()
        support = self._support_plane(T_base_camera)
        T_base_camera = None if support is None else support.T_base_camera
        prepared = network_input(image_rgb, camera, self.contract.input)
        graph_image = self._graph_image(prepared, T_base_camera)
        prepared_at = time.perf_counter()
        outputs = self._network.run(graph_image[None])
        run_at = time.perf_counter()
        candidates = self._candidates(outputs, prepared)
        decoded_at = time.perf_counter()
        fit = self._solve(candidates, prepared.camera, support)
        plane, normals = np.zeros((len(candidates), 6, 6)), np.zeros((len(candidates), 3))
        if support is not None:
            normals[fit.on_plane] = T_base_camera[2, :3]
            plane[fit.on_plane] = support.information
        refined = self._refine(candidates, fit, prepared, plane)
        if refined is not None:
            fit = replace(fit, T_camera_object=refined.T_camera_object,
                          covariance=refined.covariance)
        features = score_features(candidates, fit.misfit,
                                  self._whole_areas_px(candidates, fit, prepared.camera),
                                  fit.size_error, fit.size_deviations, refined)
        done_at = time.perf_counter()
        self._timing_ms = {
            'preprocess': (prepared_at - start) * 1e3, 'network': (run_at - prepared_at) * 1e3,
            'decode': (decoded_at - run_at) * 1e3, 'pose': (done_at - decoded_at) * 1e3}
        return RawDetections(candidates, fit, features, plane, shift_covariance(
            fit.T_camera_object[:, :3, 3], prepared.camera, normals,
            self.contract.decoder.image_sigma_px))

    def _support_plane(self, T_base_camera: np.ndarray | None) -> SupportPlane | None:
        """Return the plane; most cameras stand still, and what it gives is computed once."""
        if T_base_camera is None:
            return None
        before = self._support
        if before is None or not np.array_equal(before.T_base_camera, T_base_camera):
            decoder = self.contract.decoder
            self._support = SupportPlane(
                check_transform(T_base_camera, 'T_base_camera').copy(),
                self.contract.support_plane_z_m, decoder.plane_sigma_m, decoder.tilt_sigma_rad)
        return self._support

    def _graph_image(self, prepared: NetworkInput, T_base_camera: np.ndarray | None
                     ) -> np.ndarray:
        """(H, W, C) what the graph takes: the picture, and how large things look on the plane."""
        spec = self.contract.input
        if spec.channels == 3:
            return prepared.image_rgb
        height_px, width_px = prepared.image_rgb.shape[:2]
        # Most cameras stand still.
        place = (prepared.camera, width_px, height_px,
                 None if T_base_camera is None else T_base_camera.tobytes())
        if place != self._plane_place:
            self._plane_channel = plane_channel(
                width_px, height_px, prepared.camera, T_base_camera,
                self.contract.support_plane_z_m, spec.plane_px_per_m)
            self._plane_place = place
        return with_channel(prepared.image_rgb, self._plane_channel)

    def _candidates(self, outputs: Mapping[str, np.ndarray], prepared: NetworkInput
                    ) -> Candidates:
        found = find_candidates(outputs['heat'][0], outputs['keypoints'][0],
                                outputs['log_scales'][0], self.contract.decoder)
        centre = found.keypoints_px[:, 0]
        finite = np.isfinite(found.keypoints_px).all((1, 2))
        inside = ((centre > -1).all(1) & (centre[:, 0] < prepared.content_width_px)
                  & (centre[:, 1] < prepared.content_height_px))
        return without_shadowed(found.take(finite & inside))

    def _solve(self, candidates: Candidates, camera: PinholeCamera,
               plane: SupportPlane | None) -> PoseFit:
        M, K = candidates.scale_px.shape
        measured = camera.normalize(candidates.keypoints_px.reshape(-1, 2)).reshape(M, K, 2)
        focal_px = np.sqrt(camera.fx_px * camera.fy_px)
        sigma = candidates.scale_px * LAPLACE_DEVIATION / focal_px
        kinds = candidates.object_index
        return solve_poses(self._keypoints_m[kinds], measured, sigma,
                           [self._resting[k] for k in kinds], plane)

    def _refine(self, candidates: Candidates, fit: PoseFit, prepared: NetworkInput,
                plane: np.ndarray) -> Refined | None:
        decoder = self.contract.decoder
        if decoder.edge_prior_scale == 0:
            return None
        scales = np.where(fit.on_plane, decoder.edge_prior_scale, decoder.camera_edge_prior_scale)
        return self._edges.refine(
            prepared.image_rgb, prepared.camera, candidates.object_index, fit.T_camera_object,
            scaled_covariance(fit.covariance, scales, plane),
            (prepared.content_width_px, prepared.content_height_px))

    def _whole_areas_px(self, candidates: Candidates, fit: PoseFit, camera: PinholeCamera
                        ) -> np.ndarray:
        """(M,) pixels that each would cover unhidden; NaN where the head does not compare."""
        areas = np.full(len(candidates), np.nan)
        for i in np.flatnonzero(~np.isnan(candidates.area_px)):
            areas[i] = self._silhouettes[candidates.object_index[i]].pixels(
                fit.T_camera_object[i], camera)
        return areas
