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

"""Renderer on OpenGL 3.3 through EGL: several lights, soft shadows, reflections, antialiasing.

Runs without a display: on a GPU's driver, or on the CPU with Mesa's llvmpipe.
"""

from __future__ import annotations

import os

from dr_perception.core.transforms import invert_transform
import numpy as np
from sim_trainer.rendering import shaders
from sim_trainer.rendering.base import Picture, RendererUnavailableError
from sim_trainer.rendering.meshes import DrawMesh
from sim_trainer.rendering.uniforms import (body_blocks, column_major, decal_block, frame_uniforms,
                                            inside_frustum, lamp_matrix, model_matrices,
                                            projection, ROOM_ID, sky_matrix, SKY_SOFTNESS_M)
from sim_trainer.scene.record import Body, Decal, SceneRecord

#: Shadow maps: of lamps, and of the sky, which is coarse and smooth.
SHADOW_SIZE_PX, SKY_SIZE_PX = 512, 160
SAMPLES = 4
_SHADOW_UNITS = {'shadow_0': 0, 'shadow_1': 1, 'shadow_sky': 2}
_UNITS = {**_SHADOW_UNITS, 'patterns': 3, 'pictures': 4, 'shaded': 5}


class OpenGLRenderer:
    """Draws scene records with moderngl. See ``Renderer``."""

    name = 'opengl'

    def __init__(self, patterns: np.ndarray, pictures: np.ndarray | None = None) -> None:
        """Open a context and load the textures.

        Args:
            patterns: (L, S, S) uint8, what ``Material.pattern`` and ``grain`` count.
            pictures: (P, S, S, 3) uint8 sRGB, what ``Material.picture`` counts; None for none.

        Raises:
            RendererUnavailableError: no EGL, or no OpenGL 3.3 behind it.
        """
        try:
            import moderngl
        except ImportError as error:
            raise RendererUnavailableError(
                'the OpenGL renderer needs moderngl: pip install moderngl') from error
        # llvmpipe: no threads of its own; workers are processes, and handing tiles over costs a
        # fifth of the time.
        os.environ.setdefault('LP_NUM_THREADS', '0')
        try:
            self._context = moderngl.create_context(standalone=True, backend='egl', require=330)
        except Exception as error:  # moderngl raises bare Exception for a missing libEGL
            raise RendererUnavailableError(
                f'no OpenGL context through EGL ({error}); on Debian or Ubuntu: '
                'apt-get install libegl1 libgl1-mesa-dri') from error
        self._moderngl = moderngl
        ctx = self._context
        self.device = ctx.info['GL_RENDERER']
        self._depth = ctx.program(shaders.DEPTH_VERTEX, shaders.DEPTH_FRAGMENT)
        self._resolve = ctx.program(shaders.RESOLVE_VERTEX, shaders.RESOLVE_FRAGMENT)
        self._resolve['shaded'].value = _UNITS['shaded']
        self._shaders: dict[tuple, _Shader] = {}
        self._shadow_buffers = []
        for name, unit in _SHADOW_UNITS.items():
            sky = name == 'shadow_sky'
            texture = ctx.depth_texture((SKY_SIZE_PX if sky else SHADOW_SIZE_PX,) * 2)
            texture.compare_func = '<='
            texture.filter = ((moderngl.LINEAR if sky else moderngl.NEAREST),) * 2
            texture.repeat_x = texture.repeat_y = False
            texture.use(unit)
            self._shadow_buffers.append(ctx.framebuffer(depth_attachment=texture))
        if pictures is None or len(pictures) == 0:
            pictures = np.full((1, 4, 4, 3), 255, np.uint8)
        for unit, layers, components in ((_UNITS['patterns'], patterns, 1),
                                         (_UNITS['pictures'], pictures, 3)):
            size = (layers.shape[2], layers.shape[1], layers.shape[0])
            array = ctx.texture_array(size, components, np.ascontiguousarray(layers).tobytes(),
                                      alignment=1)
            array.build_mipmaps()
            array.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
            array.use(unit)
        self._meshes: dict[str, _Mesh] = {}
        self._targets: dict[tuple[int, int], tuple] = {}

    def add_mesh(self, name: str, mesh: DrawMesh) -> None:
        """See ``Renderer.add_mesh``."""
        if name not in self._meshes:
            self._meshes[name] = _Mesh(self._context, mesh, self._depth, self._resolve)

    def draw(self, scene: SceneRecord) -> Picture:
        """See ``Renderer.draw``."""
        camera = scene.camera
        if camera.distortion_model != 'none':
            raise ValueError('the OpenGL renderer draws pinhole cameras without distortion')
        self._context.enable_only(self._moderngl.DEPTH_TEST)
        models = model_matrices(scene.bodies)
        meshes = [self._meshes[body.mesh] for body in scene.bodies]
        middles = np.array([mesh.middle for mesh in meshes]).reshape(-1, 3)
        centres = np.einsum('nij,nj->ni', models[:, :3, :3], middles) + models[:, :3, 3]
        radii = np.array([mesh.radius * max(body.scale)
                          for mesh, body in zip(meshes, scene.bodies)])
        blocks = body_blocks(scene.bodies, models)
        data = [block.tobytes() for block in blocks]
        matrices, softness = self._draw_shadows(scene, meshes, data, centres, radii)
        clip = projection(camera) @ invert_transform(scene.T_base_camera)
        seen = np.flatnonzero(inside_frustum(clip, centres, radii))
        # Near things first: what they hide is then not shaded.
        depth = (centres - scene.T_base_camera[:3, 3]) @ scene.T_base_camera[:3, 2]
        large = radii > 0.6
        order = seen[np.lexsort((depth[seen], large[seen]))]
        target = self._target(camera.width_px, camera.height_px)
        sky = np.clip(np.array(scene.sky_color) * scene.exposure, 0, 1) ** (1 / 2.2)
        self._shade(scene, target, order, meshes, data, frame_uniforms(
            scene, clip, matrices, softness), sky)
        self._resolve_samples(target, order, meshes, data, clip, sky)
        _, shaded_buffer, _, resolved = target
        size = (camera.height_px, camera.width_px)
        image = np.frombuffer(resolved.read(components=3, alignment=1), np.uint8)
        ids = np.frombuffer(shaded_buffer.read(components=1, attachment=1, alignment=1), np.uint8)
        ids = ids.reshape(size)
        # The projection already flips y, so rows arrive top first.
        return Picture(image.reshape(*size, 3).copy(), np.where(ids == ROOM_ID, 0, ids),
                       ids == ROOM_ID)

    def close(self) -> None:
        """See ``Renderer.close``."""
        self._context.release()

    def _shade(self, scene: SceneRecord, target: tuple, order: np.ndarray, meshes: list[_Mesh],
               data: list[bytes], uniforms: dict[str, bytes], sky: np.ndarray) -> None:
        """One shaded colour, surface key and id a pixel."""
        target[1].use()
        target[1].clear(*sky, 0.0)
        # Both attachments share a clear colour; the id's must be the room's.
        target[0][1].use()
        target[0][1].clear(ROOM_ID / 255, 0.0, 0.0, 1.0)
        target[1].use()
        prepared = set()
        for i in order:
            shader = self._shader(scene, scene.bodies[i], meshes[i])
            if id(shader) not in prepared:
                shader.write(uniforms)
                prepared.add(id(shader))
            shader.draw(scene.bodies[i].mesh, meshes[i], data[i],
                        scene.bodies[i].material.decals)

    def _resolve_samples(self, target: tuple, order: np.ndarray, meshes: list[_Mesh],
                         data: list[bytes], clip: np.ndarray, sky: np.ndarray) -> None:
        (texture, _), _, samples, resolved = target
        texture.use(_UNITS['shaded'])
        samples.use()
        samples.clear(*sky, 1.0)
        self._resolve['clip_from_base'].write(column_major(clip))
        body = self._resolve['body']
        for i in order:
            body.write(data[i][:64])
            meshes[i].resolve_array.render()
        self._context.copy_framebuffer(resolved, samples)

    def _target(self, width_px: int, height_px: int) -> tuple:
        """(shaded texture, id buffer), their framebuffer, multisampled and resolved ones."""
        key = (width_px, height_px)
        if key not in self._targets:
            if len(self._targets) >= 4:     # pictures of ever other sizes must not fill memory
                for made in self._targets.pop(next(iter(self._targets))):
                    for each in made if isinstance(made, tuple) else (made,):
                        each.release()
            ctx = self._context
            texture, ids = ctx.texture(key, 4), ctx.renderbuffer(key, 1)
            texture.filter = (self._moderngl.NEAREST, self._moderngl.NEAREST)
            self._targets[key] = (
                (texture, ctx.framebuffer([ids])),
                ctx.framebuffer([texture, ids], ctx.depth_renderbuffer(key)),
                ctx.framebuffer([ctx.renderbuffer(key, 4, samples=SAMPLES)],
                                ctx.depth_renderbuffer(key, samples=SAMPLES)),
                ctx.framebuffer([ctx.renderbuffer(key, 4)]))
        return self._targets[key]

    def _shader(self, scene: SceneRecord, body: Body, mesh: _Mesh) -> _Shader:
        material = body.material
        source = ('UV' if mesh.has_uv and material.picture >= 0 else
                  'PICTURE' if material.picture >= 0 else
                  'PATTERN' if material.color_a != material.color_b else 'PLAIN')
        key = (min(len(scene.lights), shaders.MAX_LIGHTS), source, material.grain_strength > 0,
               bool(material.decals))
        if key not in self._shaders:
            self._shaders[key] = _Shader(self._context, *key)
        return self._shaders[key]

    def _draw_shadows(self, scene: SceneRecord, meshes: list[_Mesh], data: list[bytes],
                      centres: np.ndarray, radii: np.ndarray
                      ) -> tuple[list[np.ndarray], tuple[float, ...]]:
        """Fill the shadow maps; their clip matrices and edge widths (m)."""
        lights = scene.lights[:shaders.SHADOWED_LIGHTS]
        unused = shaders.SHADOWED_LIGHTS - len(lights)
        softness = [light.softness_m for light in lights] + [0.0] * unused + [SKY_SOFTNESS_M]
        matrices = [lamp_matrix(np.array(light.position_m), scene.lit_area) for light in lights]
        matrices += [np.eye(4)] * unused + [sky_matrix(scene.lit_area)]
        casts = np.array([body.casts_shadow for body in scene.bodies], bool)
        used = [light.shadow > 0 for light in lights] + [False] * unused
        used.append(scene.occlusion_strength > 0)
        context, body = self._context, self._depth['body']
        context.polygon_offset = 1.5, 2.0       # slope-scaled: no stripes on grazed surfaces
        for buffer, matrix, needed in zip(self._shadow_buffers, matrices, used):
            if not needed:
                continue
            buffer.use()
            buffer.clear(depth=1.0)
            self._depth['clip_from_base'].write(column_major(matrix))
            for i in np.flatnonzero(casts & inside_frustum(matrix, centres, radii)):
                body.write(data[i][:48])
                meshes[i].depth_array.render()
        context.polygon_offset = 0.0, 0.0
        return matrices, tuple(softness)


class _Mesh:
    """A mesh on the device, its arrays for the passes that all bodies share, and its bounds."""

    def __init__(self, context, mesh: DrawMesh, depth, resolve) -> None:
        columns = [mesh.positions, mesh.normals]
        self.has_uv = mesh.uv is not None
        if self.has_uv:
            columns.append(mesh.uv)
        self.buffer = context.buffer(np.hstack(columns).astype('f4').tobytes())
        low, high = mesh.positions.min(0), mesh.positions.max(0)
        self.middle = (low + high) / 2
        self.radius = float(np.linalg.norm(mesh.positions - self.middle, axis=1).max())
        rest = ' 2x4' if self.has_uv else ''
        self.depth_array = context.vertex_array(
            depth, [(self.buffer, '3f 3x4' + rest, 'in_position')])
        self.resolve_array = context.vertex_array(
            resolve, [(self.buffer, '3f 3f' + rest, 'in_position', 'in_normal')])


class _Shader:
    """A colour program with its vertex arrays; skips uniforms that its variant compiled away."""

    def __init__(self, context, light_count: int, source: str, grained: bool,
                 decalled: bool) -> None:
        self._context = context
        self._uses_uv = source == 'UV'
        self._program = program = context.program(
            shaders.color_vertex(source),
            shaders.color_fragment(light_count, source, grained, decalled))
        self._arrays: dict[str, object] = {}
        self._names = set(program)
        self._body = program['body']
        for name, unit in _UNITS.items():
            if name in self._names:
                program[name].value = unit

    def write(self, uniforms: dict[str, bytes]) -> None:
        for name, value in uniforms.items():
            if name in self._names:
                self._program[name].write(value)

    def draw(self, name: str, mesh: _Mesh, data: bytes, decals: tuple[Decal, ...]) -> None:
        if name not in self._arrays:
            layout, inputs = '3f 3f', ['in_position', 'in_normal']
            if mesh.has_uv:
                layout += ' 2f' if self._uses_uv else ' 2x4'
                inputs += ['in_uv'] * self._uses_uv
            self._arrays[name] = self._context.vertex_array(
                self._program, [(mesh.buffer, layout, *inputs)])
        self._body.write(data)
        if decals:
            self._program['decals'].write(decal_block(decals))
        self._arrays[name].render()
