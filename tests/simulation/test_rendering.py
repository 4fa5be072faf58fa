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

"""Pictures show what the scene says, where the camera says."""

import dataclasses

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,
                                           rotation_about, transform_points)
import numpy as np
import pytest
from sim_trainer.dataset.labels import label_scene, silhouette_area_px
from sim_trainer.rendering import bullet, bullet_view, factory
from sim_trainer.rendering.base import RendererUnavailableError
from sim_trainer.rendering.distortion import LensMap
from sim_trainer.rendering.patterns import FAMILIES, make_patterns
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.record import Body, Light, Material, SceneRecord


def _plain(color, **changes):
    values = {'color_a': color, 'color_b': color, 'pattern': 0, 'pattern_scale_m': 0.1,
              'pattern_angle_rad': 0.0, 'pattern_offset': (0.0, 0.0), 'grain': 0,
              'grain_strength': 0.0, 'roughness': 0.9, 'metalness': 0.0, 'specular': 0.0}
    return Material(**{**values, **changes})


def _scene(bodies, camera, T_base_camera, lights=None):
    lights = lights or (Light((0.5, 0.5, 2.0), (3.0, 3.0, 3.0), 0.005),)
    return SceneRecord(tuple(bodies), lights, (0.3, 0.3, 0.3), (0.2, 0.2, 0.2), 0.3, 1.0, camera,
                       T_base_camera)


RED, GREEN, GREY = _plain((0.9, 0.1, 0.1)), _plain((0.1, 0.8, 0.1)), _plain((0.5, 0.5, 0.5))
TABLE = Body('unit_box', make_transform(np.eye(3), [0.5, 0, -0.05]), (2.0, 2.0, 0.1), GREY)


def _cube(x_m, y_m, material):
    return Body('cube', make_transform(np.eye(3), [x_m, y_m, 0.025]), (1.0, 1.0, 1.0), material,
                'cube')


def test_golden_a_known_cube_at_its_known_pixels(renderer):
    """A camera 1 m above the table, looking straight down, image x along base -y."""
    R_base_camera = np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1.0]])
    camera = PinholeCamera(400.0, 400.0, 60.5, 39.5, 160, 120)      # off-centre
    scene = _scene([TABLE, _cube(0.5, 0.0, RED)], camera,
                   make_transform(R_base_camera, [0.5, -0.05, 1.0]))
    ids = renderer.draw(scene).instance_ids
    # The top face, 0.95 m away, spans y -0.025 ... 0.025 m: image x is -(y + 0.05) * 400 / 0.95.
    columns = np.flatnonzero(ids.any(0))
    rows = np.flatnonzero(ids.any(1))
    left, right = 60.5 - 0.075 * 400 / 0.95, 60.5 - 0.025 * 400 / 1.0
    assert abs(columns[0] - left) < 1 and abs(columns[-1] - right) < 1
    top, bottom = 39.5 - 0.025 * 400 / 0.95, 39.5 + 0.025 * 400 / 0.95
    assert abs(rows[0] - top) < 1 and abs(rows[-1] - bottom) < 1


def test_not_mirrored_and_not_upside_down(renderer):
    camera = PinholeCamera(200.0, 200.0, 79.5, 59.5, 160, 120)
    T_base_camera = look_at([1.1, 0, 0.65], [0.5, 0, 0])
    scene = _scene([TABLE, _cube(0.5, 0.15, RED), _cube(0.65, -0.15, GREEN)], camera,
                   T_base_camera)
    picture = renderer.draw(scene)
    image = picture.image_rgb.astype(int)
    red = np.argwhere(image[..., 0] - image[..., 1] > 60).mean(0)
    green = np.argwhere(image[..., 1] - image[..., 0] > 60).mean(0)
    # Looking back at the base, +y is on the image's right; what is nearer is lower.
    assert red[1] > green[1] + 20 and red[0] < green[0] - 5
    assert abs(np.argwhere(picture.instance_ids == 1).mean(0) - red).max() < 2


def test_projected_hulls_are_the_drawn_silhouettes(renderer, generator):
    worst = []
    for index in range(12):
        scene = generator.scene(index)
        alone = [dataclasses.replace(scene, bodies=(body,)) for body in scene.instances]
        models = {model.name: model for model in generator.catalogue}
        for single in alone:
            ids = renderer.draw(single).instance_ids
            if not ids[2:-2, 2:-2].any() or ids[[0, -1]].any() or ids[:, [0, -1]].any():
                continue
            body = single.bodies[0]
            T = invert_transform(scene.T_base_camera) @ body.T_base_body
            pixels = scene.camera.project(transform_points(
                T, models[body.object_name].vertices_m))
            # Supersampled truth: a pixel is inside when its centre is.
            hull = np.round((cv2.convexHull(pixels.astype(np.float32)) + 0.5) * 8 * 16)
            mask = np.zeros((ids.shape[0] * 8, ids.shape[1] * 8), np.uint8)
            cv2.fillConvexPoly(mask, hull.astype(np.int32), 1, shift=4)
            truth = mask[4::8, 4::8]
            edge = cv2.morphologyEx(truth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
            wrong = (truth != (ids > 0)).sum()
            worst.append(wrong / max(edge.sum() / 2, 1))
    assert len(worst) >= 6
    # A shift by d pixels would turn about d / 2 of the outline's pixels wrong.
    assert max(worst) < 0.15, worst


def test_both_renderers_show_the_same_instances(generator):
    from sim_trainer.rendering.bullet import BulletRenderer
    from sim_trainer.rendering.opengl import OpenGLRenderer
    patterns = make_patterns(1)
    try:
        renderers = [OpenGLRenderer(patterns), BulletRenderer(patterns)]
    except RendererUnavailableError as error:
        pytest.skip(str(error))
    for name, mesh in generator.draw_meshes().items():
        for made in renderers:
            made.add_mesh(name, mesh)
    for index in (11, 12, 13):
        a, b = (made.draw(generator.scene(index)).instance_ids for made in renderers)
        assert (a == b).mean() > 0.995
        assert np.array_equal(np.unique(a[2:-2, 2:-2]), np.unique(b[2:-2, 2:-2]))


def test_the_same_scene_gives_the_same_bytes(renderer, generator):
    scene = generator.scene(9)
    first = renderer.draw(scene).image_rgb
    renderer.draw(generator.scene(10))
    assert np.array_equal(first, renderer.draw(scene).image_rgb)


def test_textures_differ_from_draw_to_draw(renderer):
    """A stale texture would leave the picture as it was."""
    camera = PinholeCamera(200.0, 200.0, 79.5, 59.5, 160, 120)
    T_base_camera = look_at([0.8, 0, 0.4], [0.5, 0, 0])
    pictures = []
    for pattern in (2, 3, 5, 8, 12):        # checker, stripes, blotches, bricks, scratches
        material = _plain((0.1, 0.1, 0.1), color_b=(0.9, 0.9, 0.9), pattern=pattern)
        table = dataclasses.replace(TABLE, material=material)
        pictures.append(renderer.draw(_scene([table], camera, T_base_camera)).image_rgb)
    for i, a in enumerate(pictures):
        assert a.std() > 8
        for b in pictures[:i]:
            assert np.abs(a.astype(int) - b).mean() > 8


def test_a_cube_throws_a_shadow(renderer):
    camera = PinholeCamera(200.0, 200.0, 79.5, 59.5, 160, 120)
    T_base_camera = look_at([0.7, 0, 0.7], [0.5, 0, 0])
    lights = (Light((0.5, 1.5, 1.0), (4.0, 4.0, 4.0), 0.004),)     # from +y: shadow towards -y
    scene = _scene([TABLE, _cube(0.5, 0.0, RED)], camera, T_base_camera, lights)
    bare = _scene([TABLE], camera, T_base_camera, lights)
    with_cube, without = (renderer.draw(each).image_rgb.astype(int).sum(-1)
                          for each in (scene, bare))
    points = transform_points(invert_transform(T_base_camera), np.array(
        [[0.5, -0.04, 0.0], [0.5, 0.05, 0.0]]))
    (u, v), (u_lit, v_lit) = np.round(camera.project(points)).astype(int)
    assert with_cube[v, u] < 0.97 * without[v, u]
    assert with_cube[v_lit, u_lit] > 0.98 * without[v_lit, u_lit]


def test_visible_fraction(renderer, generator):
    camera = PinholeCamera(400.0, 400.0, 79.5, 59.5, 160, 120)
    T_base_camera = look_at([1.0, 0, 0.4], [0.5, 0, 0.025])
    far = _cube(0.5, 0.0, RED)
    whole = _scene([TABLE, far], camera, T_base_camera)
    [label] = label_scene(whole, renderer.draw(whole).instance_ids, generator.catalogue)
    assert 0.98 < label.visible_fraction <= 1
    screen = Body('unit_box', make_transform(np.eye(3), [0.6, 0.1, 0.1]), (0.01, 0.2, 0.2), GREY)
    half = _scene([TABLE, far, screen], camera, T_base_camera)
    [label] = label_scene(half, renderer.draw(half).instance_ids, generator.catalogue)
    assert 0.4 < label.visible_fraction < 0.6


def test_a_wholly_visible_object_is_nearly_all_seen(renderer, generator):
    """The silhouette counts pixel centres, as the renderers do, not every pixel it touches."""
    fractions = []
    camera = PinholeCamera(300.3, 300.7, 78.6, 60.2, 160, 120)
    T_base_camera = look_at([0.93, 0.21, 0.41], [0.5, 0, 0.02])
    for i, model in enumerate(generator.catalogue):
        pose = make_transform(rotation_about('z', 0.4 * i), [0.5, 0, 0.04])
        scene = _scene([Body(model.name, pose, (1.0, 1.0, 1.0), RED, model.name)], camera,
                       T_base_camera)
        ids = renderer.draw(scene).instance_ids
        [label] = label_scene(scene, ids, generator.catalogue)
        fractions.append(label.visible_fraction)
        area = silhouette_area_px(model, label.T_camera_object, camera)
        assert area == pytest.approx((ids == 1).sum(), rel=0.02)
    assert min(fractions) >= 0.98


def test_a_picture_does_not_depend_on_what_was_drawn_before(renderer, generator, monkeypatch):
    monkeypatch.setattr(bullet, 'SCENES_PER_CLIENT', 2)     # so that clients are renewed here
    first = [renderer.draw(generator.scene(index)) for index in (20, 21, 22)]
    again = [renderer.draw(generator.scene(index)) for index in (22, 20, 21)]
    for before, after in zip(first, again[1:] + again[:1]):
        assert np.array_equal(before.image_rgb, after.image_rgb)
        assert np.array_equal(before.instance_ids, after.instance_ids)


def test_a_distorted_camera_is_refused(renderer):
    camera = PinholeCamera(200.0, 200.0, 79.5, 59.5, 160, 120, 'plumb_bob', (0.1, 0, 0, 0))
    with pytest.raises(ValueError, match='draws pinhole cameras without distortion'):
        renderer.draw(_scene([TABLE], camera, look_at([1, 0, 1], [0.5, 0, 0])))


@pytest.mark.parametrize('window', [(0, 0, 160, 120), (37, 21, 64, 80), (-20, 50, 100, 50)])
def test_tinyrenderers_matrices_project_as_the_camera_does(window):
    camera = PinholeCamera(200.0, 190.0, 77.3, 61.8, 160, 120).cropped(*window)
    T_base_camera = look_at([1.0, 0.2, 0.6], [0.5, 0, 0])
    origin = np.array([0.4, 0.1, 0.2])
    points = np.random.default_rng(0).uniform([0.3, -0.3, 0], [0.7, 0.3, 0.2], (50, 3))
    view, projection = (np.reshape(m, (4, 4)).T for m in (
        bullet_view.view_matrix(T_base_camera, origin),
        bullet_view.projection_matrix(camera, 0.01)))
    units = (points - origin) * bullet_view.UNITS_PER_M
    clip = np.hstack([units, np.ones((50, 1))]) @ (projection @ view).T
    ndc = clip[:, :2] / clip[:, 3:]
    size = np.array([camera.width_px, camera.height_px])
    pixels = (ndc + 1) / 2 * size
    pixels[:, 1] = camera.height_px - 1 - pixels[:, 1]
    expected = camera.project(transform_points(invert_transform(T_base_camera), points))
    assert np.abs(pixels - expected).max() < 1e-9


def test_a_missing_egl_falls_back_with_the_remedy(monkeypatch, config, generator, caplog):
    def unavailable(*_):
        raise RendererUnavailableError('no OpenGL context through EGL (x); on Debian or Ubuntu: '
                                       'apt-get install libegl1 libgl1-mesa-dri')

    monkeypatch.setattr(factory, 'OpenGLRenderer', unavailable)
    made = factory.make_renderer(config, generator)
    assert made.name == 'bullet'
    assert 'apt-get install libegl1 libgl1-mesa-dri' in caplog.text
    assert 'Drawing with PyBullet instead' in caplog.text
    made.close()


@pytest.mark.parametrize('family', FAMILIES)
def test_every_pattern_family_is_distinct_and_repeatable(family):
    a = make_patterns(1, (family,), 3)
    assert np.array_equal(a, make_patterns(1, (family,), 3))
    assert a.dtype == np.uint8 and a.shape == (3, 128, 128)
    if family not in ('flat', 'gradient'):
        assert a[0].std() > 5 and not np.array_equal(a[0], a[1])


@pytest.mark.parametrize('model, coefficients', [
    ('plumb_bob', (-0.28, 0.09, 0.001, -0.0005, 0.0)), ('equidistant', (0.05, -0.01, 0.0, 0.0))])
def test_a_distorted_lens_shows_objects_where_it_projects_them(config, model, coefficients):
    """Every corner of a known board of cubes, against the camera model itself."""
    camera = dataclasses.replace(config.camera, distortion_model=model, distortion=coefficients)
    bent = dataclasses.replace(config, camera=camera)
    generator = SceneGenerator(bent)
    made = factory.make_renderer(bent, generator)
    try:
        nominal = camera.camera.resized(320, 240)
        T = camera.T_base_camera
        bodies = [TABLE] + [_cube(x, y, RED) for x in (0.34, 0.66) for y in (-0.24, 0.24)]
        ids = made.draw(_scene(bodies, nominal, T)).instance_ids
        cube = next(m for m in generator.catalogue if m.name == 'cube')
        for i, body in enumerate(bodies[1:]):
            pixels = nominal.project(transform_points(invert_transform(T) @ body.T_base_body,
                                                      cube.vertices_m))
            rows, columns = np.nonzero(ids == i + 1)
            drawn = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
            truth = np.concatenate([pixels.min(0), pixels.max(0)])
            straight = dataclasses.replace(nominal, distortion_model='none', distortion=())
            plain = straight.project(transform_points(invert_transform(T) @ body.T_base_body,
                                                      cube.vertices_m))
            # A pointed corner may hold no pixel's centre.
            assert np.abs(drawn - truth).max() < 1.3
            assert np.abs(plain - pixels).max() > 2.0       # the lens matters here
    finally:
        made.close()
        generator.close()


def test_a_lens_that_sees_half_the_world_is_refused(config):
    camera = PinholeCamera(120.0, 120.0, 319.5, 239.5, 640, 480, 'equidistant', (0.0,) * 4)
    with pytest.raises(CameraError, match='sees too wide to be drawn.*crop the camera'):
        LensMap.of(camera)


def test_edges_are_antialiased_and_keep_the_colours_of_their_sides(renderer):
    """Pixels on a red cube's outline are mixtures of red and table, nothing else."""
    if renderer.name != 'opengl':
        pytest.skip('the PyBullet renderer has no antialiasing')
    camera = PinholeCamera(300.0, 300.0, 79.5, 59.5, 160, 120)
    T_base_camera = look_at([0.75, 0.1, 0.4], [0.5, 0, 0.02])
    scene = _scene([TABLE, _cube(0.5, 0.0, RED)], camera, T_base_camera)
    picture = renderer.draw(scene)
    ids = (picture.instance_ids > 0).astype(np.uint8)
    near = cv2.dilate(ids, np.ones((3, 3))) - cv2.erode(ids, np.ones((3, 3)))
    red = picture.image_rgb[..., 0].astype(int) - picture.image_rgb[..., 1]
    inside, outside = red[(ids == 1) & (near == 0)], red[(ids == 0) & (near == 0)]
    mixed = (red > outside.max() + 8) & (red < inside.min() - 8)
    assert mixed[near == 1].mean() > 0.15
    assert not mixed[near == 0].any()


def test_the_room_mask_is_what_is_behind_table_and_arm(renderer):
    camera = PinholeCamera(100.0, 100.0, 79.5, 59.5, 160, 120)
    wall = Body('unit_box', make_transform(np.eye(3), [-1.5, 0, 0]), (0.1, 9.0, 9.0), GREEN,
                kind='room')
    small = dataclasses.replace(TABLE, scale=(0.6, 0.6, 0.1), kind='table')
    scene = _scene([small, _cube(0.5, 0.0, RED), wall], camera,
                   look_at([1.2, 0, 0.5], [0.5, 0, 0.1]))
    picture = renderer.draw(scene)
    green = picture.image_rgb[..., 1].astype(int) - picture.image_rgb[..., 0]
    assert picture.room_mask[0].all() and not picture.room_mask[picture.instance_ids > 0].any()
    assert (picture.room_mask | (green < 30)).mean() > 0.99     # but for antialiased edges


def test_a_picture_of_the_user_covers_a_surface(config, tmp_path):
    cv2.imwrite(str(tmp_path / 'blue.png'), np.full((40, 40, 3), (250, 20, 20), np.uint8))
    textures = dataclasses.replace(config.randomization.textures, pictures=str(tmp_path))
    user = dataclasses.replace(config, randomization=dataclasses.replace(
        config.randomization, textures=textures))
    generator = SceneGenerator(user)
    made = factory.make_renderer(user, generator)
    try:
        table = dataclasses.replace(TABLE, material=_plain((1.0, 1.0, 1.0), picture=0))
        camera = PinholeCamera(200.0, 200.0, 79.5, 59.5, 160, 120)
        image = made.draw(_scene([table], camera, look_at([0.8, 0, 0.4], [0.5, 0, 0]))).image_rgb
        assert (image[..., 2].astype(int) - image[..., 0]).min() > 60
    finally:
        made.close()
        generator.close()
