"""Renderer on OpenGL 3.3 through EGL: several lights, soft shadows, reflections, antialiasing.

Runs without a display: on a GPU's driver, or on the CPU with Mesa's llvmpipe.
"""

from __future__ import annotations

import numpy as np

from dr_perception.core.transforms import invert_transform, look_at
from sim_trainer.rendering import shaders
from sim_trainer.rendering.base import Picture, RendererUnavailableError
from sim_trainer.rendering.meshes import DrawMesh
from sim_trainer.scene.record import Body, SceneRecord

SHADOW_SIZE_PX = 512
SAMPLES = 4
#: Half width (m) and centre of the square that shadow maps cover: the table round the workspace.
SHADOW_REACH_M = 0.62
SHADOW_CENTRE_M = (0.5, 0.0, 0.05)
SKY_SOFTNESS_M = 0.05
NEAR_M, FAR_M = 0.05, 12.0


class OpenGLRenderer:
    """Draws scene records with moderngl. See ``Renderer``."""

    name = 'opengl'

    def __init__(self, patterns: np.ndarray) -> None:
        """Open a context and load the patterns (L, S, S) uint8.

        Raises:
            RendererUnavailableError: no EGL, or no OpenGL 3.3 behind it.
        """
        try:
            import moderngl
        except ImportError as error:
            raise RendererUnavailableError(
                'the OpenGL renderer needs moderngl: pip install moderngl') from error
        try:
            self._context = moderngl.create_context(standalone=True, backend='egl', require=330)
        except Exception as error:  # moderngl raises bare Exception for a missing libEGL
            raise RendererUnavailableError(
                f'no OpenGL context through EGL ({error}); on Debian or Ubuntu: '
                'apt-get install libegl1 libgl1-mesa-dri') from error
        self._moderngl = moderngl
        ctx = self._context
        self._depth_program = ctx.program(shaders.DEPTH_VERTEX, shaders.DEPTH_FRAGMENT)
        self._id_program = ctx.program(shaders.DEPTH_VERTEX, shaders.ID_FRAGMENT)
        self._programs: dict[tuple[int, bool, bool], _Shader] = {}
        self._shadow_maps = [ctx.depth_texture((SHADOW_SIZE_PX,) * 2) for _ in range(3)]
        self._shadow_buffers = []
        for unit, texture in enumerate(self._shadow_maps):
            texture.compare_func = '<='
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
            texture.use(unit)
            self._shadow_buffers.append(ctx.framebuffer(depth_attachment=texture))
        layers, height, width = patterns.shape
        self._patterns = ctx.texture_array((width, height, layers), 1, patterns.tobytes())
        self._patterns.build_mipmaps()
        self._patterns.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
        self._patterns.use(3)
        self._meshes: dict[str, tuple] = {}
        self._targets: dict[tuple[int, int], tuple] = {}

    def add_mesh(self, name: str, mesh: DrawMesh) -> None:
        """See ``Renderer.add_mesh``."""
        if name in self._meshes:
            return
        data = np.hstack([mesh.positions, mesh.normals]).astype('f4')
        buffer = self._context.buffer(data.tobytes())
        positions = (buffer, '3f 3x4', 'in_position')
        self._meshes[name] = (
            buffer,
            self._context.vertex_array(self._depth_program, [positions]),
            self._context.vertex_array(self._id_program, [positions]))

    def draw(self, scene: SceneRecord) -> Picture:
        """See ``Renderer.draw``."""
        camera = scene.camera
        if camera.distortion_model != 'none':
            raise ValueError('the OpenGL renderer draws pinhole cameras without distortion')
        ctx = self._context
        models = [_model_matrix(body) for body in scene.bodies]
        ctx.enable_only(self._moderngl.DEPTH_TEST)
        shadow_matrices, softness = self._draw_shadows(scene, models)
        clip = _projection(camera) @ invert_transform(scene.T_base_camera)
        color_buffer, resolve_buffer, id_buffer = self._target(camera.width_px, camera.height_px)
        frame_uniforms = _frame_uniforms(scene, clip, shadow_matrices, softness)
        color_buffer.use()
        color_buffer.clear(0.0, 0.0, 0.0, 1.0)
        prepared = set()
        for body, model in zip(scene.bodies, models):
            shader = self._shader(scene, body)
            if id(shader) not in prepared:
                shader.write(frame_uniforms)
                prepared.add(id(shader))
            shader.write(_body_uniforms(body, model))
            shader.vertex_array(body.mesh, self._meshes[body.mesh][0]).render()
        ctx.copy_framebuffer(resolve_buffer, color_buffer)
        id_buffer.use()
        id_buffer.clear(0.0, 0.0, 0.0, 1.0)
        self._id_program['clip_from_base'].write(_gl(clip))
        instance = 0
        for body, model in zip(scene.bodies, models):
            instance += bool(body.object_name)
            self._id_program['model'].write(_gl(model))
            self._id_program['body_id'].value = instance / 255.0 if body.object_name else 0.0
            self._meshes[body.mesh][2].render()
        size = (camera.height_px, camera.width_px)
        image = np.frombuffer(resolve_buffer.read(components=3, alignment=1), np.uint8)
        ids = np.frombuffer(id_buffer.read(components=1, alignment=1), np.uint8)
        # The projection already flips y, so rows arrive top first.
        return Picture(image.reshape(*size, 3).copy(), ids.reshape(size).copy())

    def close(self) -> None:
        """See ``Renderer.close``."""
        self._context.release()

    def _target(self, width_px: int, height_px: int) -> tuple:
        key = (width_px, height_px)
        if key not in self._targets:
            ctx = self._context
            self._targets[key] = (
                ctx.framebuffer([ctx.renderbuffer(key, 4, samples=SAMPLES)],
                                ctx.depth_renderbuffer(key, samples=SAMPLES)),
                ctx.framebuffer([ctx.renderbuffer(key, 4)]),
                ctx.framebuffer([ctx.renderbuffer(key, 1)], ctx.depth_renderbuffer(key)))
        return self._targets[key]

    def _shader(self, scene: SceneRecord, body: Body) -> _Shader:
        material = body.material
        key = (min(len(scene.lights), shaders.MAX_LIGHTS), material.color_a != material.color_b,
               material.grain_strength > 0)
        if key not in self._programs:
            self._programs[key] = _Shader(self._context, shaders.color_fragment(*key))
        return self._programs[key]

    def _draw_shadows(self, scene: SceneRecord, models: list[np.ndarray]
                      ) -> tuple[list[np.ndarray], tuple[float, ...]]:
        """Fill the shadow maps; their clip matrices and edge widths (in texture units)."""
        centre = np.array(SHADOW_CENTRE_M)
        lights = scene.lights[:shaders.SHADOWED_LIGHTS]
        positions = [np.array(light.position_m) for light in lights]
        unused = shaders.SHADOWED_LIGHTS - len(lights)
        softness = [light.softness_m for light in lights] + [0.0] * unused + [SKY_SOFTNESS_M]
        positions += [None] * unused + [centre + [0.02, 0.01, 1.5]]
        matrices = []
        for buffer, position in zip(self._shadow_buffers, positions):
            matrices.append(np.eye(4) if position is None else _shadow_matrix(position, centre))
            if position is None:
                continue
            buffer.use()
            buffer.clear(depth=1.0)
            self._depth_program['clip_from_base'].write(_gl(matrices[-1]))
            for body, model in zip(scene.bodies, models):
                if body.casts_shadow:
                    self._depth_program['model'].write(_gl(model))
                    self._meshes[body.mesh][1].render()
        return matrices, tuple(s / (2 * SHADOW_REACH_M) for s in softness)


class _Shader:
    """A color program with its vertex arrays; skips uniforms that its variant compiled away."""

    def __init__(self, context, fragment: str) -> None:
        self._context = context
        self._program = context.program(shaders.COLOR_VERTEX, fragment)
        self._arrays: dict[str, object] = {}
        for unit, name in enumerate(('shadow_0', 'shadow_1', 'shadow_sky', 'patterns')):
            if name in self._program:
                self._program[name].value = unit

    def write(self, uniforms: dict[str, bytes]) -> None:
        for name, value in uniforms.items():
            if name in self._program:
                self._program[name].write(value)

    def vertex_array(self, mesh: str, buffer):
        if mesh not in self._arrays:
            self._arrays[mesh] = self._context.vertex_array(
                self._program, [(buffer, '3f 3f', 'in_position', 'in_normal')])
        return self._arrays[mesh]


def _frame_uniforms(scene: SceneRecord, clip: np.ndarray, shadow_matrices: list[np.ndarray],
                    softness: tuple[float, ...]) -> dict[str, bytes]:
    lights = scene.lights[:shaders.MAX_LIGHTS]
    return {
        'clip_from_base': _gl(clip),
        'eye': _f4(scene.T_base_camera[:3, 3]),
        'light_position': _f4([light.position_m for light in lights]),
        'light_color': _f4([light.color for light in lights]),
        'shadow_matrix_0': _gl(shadow_matrices[0]),
        'shadow_matrix_1': _gl(shadow_matrices[1]),
        'shadow_matrix_sky': _gl(shadow_matrices[2]),
        'softness': _f4(softness),
        'sky_color': _f4(scene.sky_color),
        'ground_color': _f4(scene.ground_color),
        'occlusion_strength': _f4([scene.occlusion_strength]),
        'exposure': _f4([scene.exposure]),
    }


def _body_uniforms(body: Body, model: np.ndarray) -> dict[str, bytes]:
    material = body.material
    normal_matrix = body.T_base_body[:3, :3] / np.asarray(body.scale)
    return {
        'model': _gl(model),
        'normal_matrix': _f4(normal_matrix.T),
        'body_scale': _f4(body.scale),
        'color_a': _f4(_linear(material.color_a)),
        'color_b': _f4(_linear(material.color_b)),
        'pattern': _f4([material.pattern, 1.0 / material.pattern_scale_m,
                        material.pattern_angle_rad, material.grain]),
        'pattern_offset': _f4(material.pattern_offset),
        'grain_strength': _f4([material.grain_strength]),
        'surface': _f4([material.roughness, material.metalness, material.specular]),
    }


def _f4(values) -> bytes:
    return np.ascontiguousarray(values, 'f4').tobytes()


def _gl(matrix: np.ndarray) -> bytes:
    """A 4x4 in OpenGL's column-major float32."""
    return np.ascontiguousarray(matrix.T, 'f4').tobytes()


def _linear(color: tuple[float, float, float]) -> tuple[float, ...]:
    return tuple(float(c) ** 2.2 for c in color)


def _model_matrix(body: Body) -> np.ndarray:
    model = np.array(body.T_base_body)
    model[:3, :3] = model[:3, :3] * np.asarray(body.scale)
    return model


def _projection(camera) -> np.ndarray:
    """Clip coordinates of the optical frame, for pixel centres at integers, row 0 first.

    Convention: OpenGL's window x of pixel i's centre is i + 0.5, and its row 0 is the bottom one;
    y is not negated here, so the image's first row is the first one read back.
    """
    w, h = camera.width_px, camera.height_px
    return np.array([
        [2 * camera.fx_px / w, 0, (2 * camera.cx_px + 1) / w - 1, 0],
        [0, 2 * camera.fy_px / h, (2 * camera.cy_px + 1) / h - 1, 0],
        [0, 0, (FAR_M + NEAR_M) / (FAR_M - NEAR_M), -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)],
        [0, 0, 1, 0]])


def _shadow_matrix(position: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Orthographic clip coordinates of a far lamp's view of the table."""
    view = invert_transform(look_at(position, centre, up=(0.3, 1.0, 0.0)))
    distance = np.linalg.norm(position - centre)
    near, far = max(distance - 1.0, 0.0), distance + 1.0
    ortho = np.diag([1 / SHADOW_REACH_M, 1 / SHADOW_REACH_M, 2 / (far - near), 1.0])
    ortho[2, 3] = -(far + near) / (far - near)
    return ortho @ view
