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

"""The labels are true: outlines to 0.3 px, masks and visible parts by a z-buffer of this file."""

import dataclasses

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.objects import ObjectModel
from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,
                                           rotation_from_rotvec, transform_points)
import numpy as np
import pytest
from sim_trainer.dataset.labels import count_ids, label_scene, silhouette_area_px
from sim_trainer.dataset.silhouettes import is_convex, MAX_SIDE_PX, silhouette
from sim_trainer.objects import primitives
from sim_trainer.scene.record import Body, Light, Material, SceneRecord

#: What is promised of outlines; a pixel centre farther off is on the side where it is drawn.
OUTLINE_PX = 0.3
PLAIN = Material((0.8, 0.8, 0.8), (0.8, 0.8, 0.8), 0, 0.1, 0.0, (0.0, 0.0), 0, 0.0, 0.9, 0.0, 0.0)
WHOLE = PinholeCamera(310.0, 305.0, 95.3, 70.9, 192, 144)
CAMERAS = [WHOLE, WHOLE.resized(320, 240).cropped(95, 60, 120, 120),
           WHOLE.cropped(-300, 40, 520, 90)]


def _single(name, camera, T_camera_object, object_name='x', scale=(1.0, 1.0, 1.0)):
    T_base_camera = look_at([1.0, 0.1, 0.6], [0.5, 0, 0])
    body = Body(name, T_base_camera @ T_camera_object, scale, PLAIN, object_name)
    light = Light((0.5, 0.5, 2.0), (3.0, 3.0, 3.0), 0.005)
    return SceneRecord((body,), (light,), (0.1, 0.1, 0.1), (0.1, 0.1, 0.1), 0.0, 1.0, camera,
                       T_base_camera)


def _poses(camera, count, seed):
    """Give poses whose origins fall into the picture, 0.3 to 0.8 m away."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        pixel = rng.uniform([5, 5], [camera.width_px - 5, camera.height_px - 5])
        ray = np.append(camera.normalize(pixel)[0], 1.0)
        yield make_transform(rotation_from_rotvec(rng.normal(size=3) * 2),
                             ray * rng.uniform(0.3, 0.8))


def _model(name, vertices, faces):
    return ObjectModel(name, np.asarray(vertices, float), np.asarray(faces), np.zeros((1, 3)),
                       Symmetry.none(), np.zeros((0, 3)), np.zeros(0))


def _depths(points_camera, faces, camera):
    """Depth (H, W, metres) of triangles at pixel centres, inf for none; no projection involved.

    A ray r hits the triangle a, b, c when r.(b x c), r.(c x a) and r.(a x b) have one sign.
    """
    u, v = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
    rays = np.dstack([(u - camera.cx_px) / camera.fx_px, (v - camera.cy_px) / camera.fy_px,
                      np.ones(u.shape)])
    depths = np.full(u.shape, np.inf)
    for a, b, c in points_camera[faces]:
        part = (slice(None), slice(None))
        if min(a[2], b[2], c[2]) > 0.01:
            corners = camera.project(np.stack([a, b, c]))
            low = np.clip(np.floor(corners.min(0)), 0, None).astype(int)
            high = np.clip(np.ceil(corners.max(0)) + 1, 0, None).astype(int)
            part = (slice(low[1], high[1]), slice(low[0], high[0]))
        elif max(a[2], b[2], c[2]) < 0.01:
            continue
        ray = rays[part]
        if ray.size == 0:
            continue
        sides = ray @ np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], 1)
        normal = np.cross(b - a, c - a)
        with np.errstate(divide='ignore', invalid='ignore'):
            depth = (normal @ a) / (ray @ normal)
        inside = ((sides >= 0).all(-1) | (sides <= 0).all(-1)) & (depth > 0.01)
        depths[part] = np.where(inside, np.minimum(depths[part], depth), depths[part])
    return depths


def _outline_distance(corners, width_px, height_px):
    """(H, W) distance (px) of pixel centres from a convex polygon's outline, inside negative.

    Far off it is infinite.
    """
    hull = cv2.convexHull(corners.astype(np.float32))[:, 0].astype(np.float64)
    a, b = hull, np.roll(hull, -1, 0)
    low = np.maximum(np.floor(hull.min(0)) - 2, 0).astype(int)
    high = np.minimum(np.ceil(hull.max(0)) + 3, [width_px, height_px]).astype(int)
    u, v = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    points = np.stack([u, v], -1)[:, :, None].astype(np.float64)
    along = b - a
    t = np.clip(((points - a) * along).sum(-1) / (along ** 2).sum(-1), 0, 1)
    distance = np.linalg.norm(points - a - t[..., None] * along, axis=-1).min(-1)
    turn = along[:, 0] * (points - a)[..., 1] - along[:, 1] * (points - a)[..., 0]
    whole = np.full((height_px, width_px), np.inf)
    whole[low[1]:high[1], low[0]:high[0]] = np.where(
        (turn >= 0).all(-1) | (turn <= 0).all(-1), -distance, distance)
    return whole


@pytest.mark.parametrize('window', range(len(CAMERAS)))
def test_outlines_are_drawn_where_vertices_project(opengl, generator, window):
    """Every pixel centre off the projected outline is on the right side of the drawn one."""
    camera, checked, worst, found_out = CAMERAS[window], 0, 0.0, 0
    for k, model in enumerate(generator.catalogue):
        for T in _poses(camera, 4, 10 * window + k):
            drawn = opengl.draw(_single(model.name, camera, T)).instance_ids == 1
            corners = camera.project(transform_points(T, model.vertices_m))
            distance = _outline_distance(corners, camera.width_px, camera.height_px)
            assert drawn[distance < -OUTLINE_PX].all(), model.name
            assert not drawn[distance > OUTLINE_PX].any(), model.name
            wrong = drawn != (distance < 0)
            worst = max(worst, np.abs(distance[wrong]).max(initial=0.0))
            checked += np.count_nonzero(np.abs(distance) < 1)
            # The same outline shifted by half as much again is found out: the test can fail.
            moved = _outline_distance(corners + 1.5 * OUTLINE_PX, camera.width_px,
                                      camera.height_px)
            found_out += ((drawn != (moved < 0)) & (np.abs(moved) > OUTLINE_PX)).any()
    assert checked > 3000 and found_out > 16
    assert worst < 0.02         # graphics hardware rounds vertices to 1/256 px


@pytest.mark.parametrize('window', range(len(CAMERAS)))
def test_silhouettes_are_those_of_the_z_buffer(generator, window):
    camera = CAMERAS[window]
    torus = _model('torus', *primitives.torus_mesh(0.03, 0.01))
    for k, model in enumerate((*generator.catalogue, torus)):
        for T in _poses(camera, 2, 100 + 10 * window + k):
            shape = silhouette(model, T, camera)
            truth = np.isfinite(_depths(transform_points(T, model.vertices_m), model.faces,
                                        camera))
            mask = shape.mask(camera.width_px, camera.height_px)
            assert np.count_nonzero(mask != truth) <= 1     # a centre on the outline
            inside = shape.within(camera.width_px, camera.height_px)
            assert inside.area_px == np.count_nonzero(mask)
            if not mask[[0, -1]].any() and not mask[:, [0, -1]].any():
                assert shape.area_px == np.count_nonzero(mask) == silhouette_area_px(
                    model, T, camera)
                rows, columns = np.nonzero(mask)
                assert shape.bounds_px == (columns.min(), rows.min(), columns.max(), rows.max())


def test_convex_and_general_meshes_count_the_same(generator):
    """Faces that share no vertices are not known as convex and take the other way."""
    for k, model in enumerate(generator.catalogue):
        soup = _model('soup', model.vertices_m[model.faces].reshape(-1, 3),
                      np.arange(3 * len(model.faces)).reshape(-1, 3))
        assert is_convex(model.vertices_m, model.faces)
        assert not is_convex(soup.vertices_m, soup.faces)
        for T in _poses(WHOLE, 3, k):
            one, other = (silhouette(m, T, WHOLE).mask(192, 144) for m in (model, soup))
            assert np.count_nonzero(one != other) <= 1


def test_what_is_convex():
    box = primitives.convex_mesh(primitives.box_points((1, 1, 1)))
    assert is_convex(*box)
    assert not is_convex(box[0], box[1][:, ::-1])       # inside out
    assert not is_convex(box[0], box[1][1:])            # open
    assert not is_convex(*primitives.torus_mesh(0.03, 0.01))
    sheet = np.array([[0, 1, 2], [0, 2, 3], [2, 1, 0], [3, 2, 0]])
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0.9, 0.1, 0.0]])
    assert not is_convex(corners, sheet)


def test_golden_silhouettes_by_hand():
    camera = PinholeCamera(100.0, 100.0, 10.25, 20.25, 64, 48)
    # A square sheet of 0.1 m, 1 m away: u 5.25...15.25, v 15.25...25.25, so pixels 6...15.
    square = _model('square', [[-.05, -.05, 0], [.05, -.05, 0], [.05, .05, 0], [-.05, .05, 0]],
                    [[0, 1, 2], [0, 2, 3]])
    T = make_transform(np.eye(3), [0, 0, 1.0])
    shape = silhouette(square, T, camera)
    assert shape.area_px == 100 and shape.bounds_px == (6, 16, 15, 25)
    # Half out of the picture: the area is of the whole, the mask of what is inside.
    shape = silhouette(square, T, camera.cropped(10, 0, 30, 48))
    assert shape.area_px == 100 and shape.bounds_px == (-4, 16, 5, 25)
    mask = shape.mask(30, 48)
    assert mask.sum() == 60 and mask[16:26, :6].all()
    assert shape.within(3, 2, (2, 20)).area_px == 6
    # A ring of squares keeps its hole.
    middles = [(x, y) for x in (-0.1, 0, 0.1) for y in (-0.1, 0, 0.1) if (x, y) != (0, 0)]
    ring = _model('ring', np.concatenate([square.vertices_m + [x, y, 0] for x, y in middles]),
                  np.concatenate([square.faces + 4 * i for i in range(8)]))
    assert silhouette(ring, T, camera).area_px == 800
    mask = silhouette(ring, T, camera.cropped(-20, -20, 90, 90)).mask(90, 90)
    assert mask.sum() == 800 and not mask[36:46, 26:36].any()


def test_too_near_or_behind_the_camera_is_empty(generator):
    cube = next(m for m in generator.catalogue if m.name == 'cube')
    for z_m in (-1.0, 0.0, 0.0251):
        shape = silhouette(cube, make_transform(np.eye(3), [0, 0, z_m]), WHOLE)
        assert shape.area_px == 0 and shape.bounds_px is None
        assert not shape.mask(192, 144).any()
    assert MAX_SIDE_PX < 0.05 * WHOLE.fx_px / 0.0001


def test_a_lens_bends_edges():
    """Long edges under distortion: halves follow them within the promise."""
    camera = PinholeCamera(300.0, 300.0, 96.0, 72.0, 192, 144, 'plumb_bob',
                           (-0.25, 0.08, 0.001, -0.001))
    bar = _model('bar', *primitives.convex_mesh(primitives.box_points((0.1, 0.02, 0.02))))
    T = make_transform(rotation_from_rotvec([0.3, 0.2, 0.4]), [0.06, -0.03, 0.5])
    u, v = np.meshgrid(np.arange(192), np.arange(144))
    rays = camera.normalize(np.stack([u.ravel(), v.ravel()], 1).astype(float))
    fine = PinholeCamera(1.0, 1.0, 0.0, 0.0, 1, 1)
    hull = cv2.convexHull(fine.project(transform_points(T, bar.vertices_m)).astype(np.float32))
    truth = np.array([cv2.pointPolygonTest(hull, (float(x), float(y)), False) >= 0
                      for x, y in rays]).reshape(144, 192)
    wrong = silhouette(bar, T, camera).mask(192, 144) != truth
    outline = cv2.morphologyEx(truth.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3)))
    # A shift by d px would turn about d / 2 of the outline's pixels (two rows of them) wrong.
    assert truth.sum() > 500 and wrong.sum() < 0.02 * outline.sum()


def test_ids_and_visible_parts_are_those_of_the_z_buffer(opengl, generator):
    """Whole scenes: arm, distractors, table and room hide what they hide."""
    meshes = generator.draw_meshes()
    for index in (0, 3, 5):
        scene = generator.scene(index)
        camera = scene.camera
        nearest = np.full((camera.height_px, camera.width_px), np.inf)
        truth = np.zeros(nearest.shape, np.uint8)
        number = 0
        for body in scene.bodies:
            number += bool(body.object_name)
            points = meshes[body.mesh].positions.astype(float) * body.scale
            points = transform_points(invert_transform(scene.T_base_camera) @ body.T_base_body,
                                      points)
            depth = _depths(points, np.arange(len(points)).reshape(-1, 3), camera)
            truth[depth < nearest] = number if body.object_name else 0
            nearest = np.minimum(nearest, depth)
        ids = opengl.draw(scene).instance_ids
        assert len(np.unique(truth)) > 1
        assert np.count_nonzero(ids != truth) <= 3, index
        labels = label_scene(scene, ids, generator.catalogue)
        for i, (body, label) in enumerate(zip(scene.instances, labels)):
            model = generator.catalogue[label.object_index]
            assert model.name == body.object_name
            # Room on all sides, so that the whole silhouette is counted.
            wide = camera.cropped(-300, -300, camera.width_px + 600, camera.height_px + 600)
            whole = np.isfinite(_depths(transform_points(
                label.T_camera_object, model.vertices_m), model.faces, wide)).sum()
            expected = (truth == i + 1).sum() / max(whole, 1)
            assert label.visible_fraction == pytest.approx(expected, abs=0.01)


def test_golden_the_antialiased_picture_is_at_its_pixel(opengl):
    """A thin plate, straight ahead: its centre of brightness by hand, to a tenth of a pixel."""
    camera = PinholeCamera(400.0, 380.0, 60.5, 39.5, 160, 120)      # off-centre
    x_m, y_m, z_m = 0.06, 0.045, 0.8
    T = make_transform(rotation_from_rotvec([0, 0, 0.3]), [x_m, y_m, z_m])
    picture = opengl.draw(_single('unit_box', camera, T, scale=(0.06, 0.06, 0.0002)))
    value = picture.image_rgb.astype(float).mean(-1)
    inner = cv2.erode((picture.instance_ids == 1).astype(np.uint8), np.ones((5, 5))) > 0
    background, plate = value[:5].mean(), value[inner].mean()
    assert abs(plate - background) > 40 and value[:5].std() == 0
    cover = np.where(inner, 1.0, (value - background) / (plate - background))
    u, v = np.meshgrid(np.arange(160), np.arange(120))
    centre = np.array([(u * cover).sum(), (v * cover).sum()]) / cover.sum()
    # u = 60.5 + 400 * 0.06 / 0.8 = 90.5, v = 39.5 + 380 * 0.045 / 0.8 = 60.875
    assert centre == pytest.approx([90.5, 60.875], abs=0.1)
    assert cover.sum() == pytest.approx(0.06 ** 2 * 400 * 380 / 0.8 ** 2, rel=0.02)


def test_label_order_and_counts(generator):
    scene = generator.scene(1)
    assert len(scene.instances) > 1
    ids = np.zeros((scene.camera.height_px, scene.camera.width_px), np.uint8)
    assert [label.visible_fraction for label in label_scene(scene, ids, generator.catalogue)] == [
        0.0] * len(scene.instances)
    ids[3:5, 4:8], ids[0, 0] = 2, 255
    assert count_ids(ids)[[0, 2, 255]].tolist() == [ids.size - 9, 8, 1]
    labels = label_scene(dataclasses.replace(scene), ids, generator.catalogue)
    assert [label.visible_fraction > 0 for label in labels] == [
        i == 1 for i in range(len(labels))]
