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

"""GLSL sources of the OpenGL renderer.

Two facts about llvmpipe, OpenGL on a CPU, decide the shape of these programs (measured):

- It executes both sides of every ``if`` (it masks instead of branching), and a loop's body with
  all its texture fetches for every light. So the shading program has no branches: it is compiled
  once for each number of lights and each kind of surface, which is three times faster.
- Small triangles of a multisampled picture cost more than twice those of a plain one. So surfaces
  are shaded once a pixel, and a second pass, multisampled and nearly free, only decides which
  pixel's colour each sample takes (``RESOLVE_FRAGMENT``).
"""

MAX_LIGHTS = 6
SHADOWED_LIGHTS = 2

#: vec4s of a body's uniform block; every program declares the leading ones that it needs.
#: 0-2 rows of the model matrix; 3 scale (m), surface key; 4 colour a (linear), id;
#: 5 colour b, grain strength; 6 pattern layer, 1 / scale (1/m), cosine and sine of its angle;
#: 7 pattern offset, grain layer, picture layer; 8 roughness, metalness, specular.
BODY_VEC4S = 9
#: Decals that a body can show, and their vec4s: 0-2 rows of the matrix into the box; 3 colour
#: (linear), opacity; 4 pattern layer, 1 / scale (1/m), 1 where there is a pattern.
MAX_DECALS = 3
DECAL_VEC4S = 5

_POSITION = """
vec4 base_position(vec3 p) {
    vec4 q = vec4(p, 1.0);
    return vec4(dot(body[0], q), dot(body[1], q), dot(body[2], q), 1.0);
}
"""

DEPTH_VERTEX = """
#version 330
uniform mat4 clip_from_base; uniform vec4 body[3];
in vec3 in_position;
""" + _POSITION + """
void main() { gl_Position = clip_from_base * base_position(in_position); }
"""

DEPTH_FRAGMENT = """
#version 330
void main() {}
"""

#: What tells one surface from the next: the body's key and, within it, the direction of its
#: surface. Flat faces have one key each, smooth ones a key that changes slowly.
_KEY = 'key = body[3].w + 0.1 * dot(normalize(in_normal), vec3(0.54, 0.31, 0.78));'

COLOR_VERTEX = """
#version 330
uniform mat4 clip_from_base; uniform vec4 body[9];
in vec3 in_position; in vec3 in_normal;
#ifdef UV
in vec2 in_uv;
out vec2 mesh_uv;
#endif
out vec3 position_base; out vec3 normal_base; out vec3 position_body; out vec3 normal_body;
out float key;
""" + _POSITION + """
void main() {
    vec4 p = base_position(in_position);
    position_base = p.xyz;
    // Normals of a scaled body: inverse transpose of R diag(s) is R diag(1/s).
    vec3 n = in_normal / (body[3].xyz * body[3].xyz);
    normal_base = vec3(dot(body[0].xyz, n), dot(body[1].xyz, n), dot(body[2].xyz, n));
    position_body = in_position * body[3].xyz;
    normal_body = in_normal / body[3].xyz;
#ifdef UV
    mesh_uv = in_uv;
#endif
    """ + _KEY + """
    gl_Position = clip_from_base * p;
}
"""

RESOLVE_VERTEX = """
#version 330
uniform mat4 clip_from_base; uniform vec4 body[4];
in vec3 in_position; in vec3 in_normal;
out float key;
""" + _POSITION + """
void main() {
    """ + _KEY + """
    gl_Position = clip_from_base * base_position(in_position);
}
"""

#: A sample takes the colour of the nearest pixel that shows the same surface.
RESOLVE_FRAGMENT = """
#version 330
uniform sampler2D shaded;                 // colour, surface key
in float key;
out vec4 color;
void nearer(inout vec4 best, vec4 other) {
    // 0.01: keys are stored in 8 bits, and the pixel's own colour wins a tie.
    best = abs(other.a - key) + 0.01 < abs(best.a - key) ? other : best;
}
void main() {
    ivec2 p = ivec2(gl_FragCoord.xy);
    vec4 best = texelFetch(shaded, p, 0);
    nearer(best, texelFetchOffset(shaded, p, 0, ivec2(1, 0)));
    nearer(best, texelFetchOffset(shaded, p, 0, ivec2(-1, 0)));
    nearer(best, texelFetchOffset(shaded, p, 0, ivec2(0, 1)));
    nearer(best, texelFetchOffset(shaded, p, 0, ivec2(0, -1)));
    color = best;
}
"""

_COLOR_FRAGMENT = """
uniform vec3 eye;
uniform vec3 light_position[LIGHTS]; uniform vec3 light_color[LIGHTS];
uniform vec4 light_beam[LIGHTS];          // direction of a spot, cosine of its half angle
uniform float light_specular[LIGHTS];
uniform float light_shadow[SHADOWS];      // how much of the light the shadow takes away
uniform sampler2DShadow shadow_0, shadow_1, shadow_sky;
uniform mat4 shadow_matrix_0, shadow_matrix_1, shadow_matrix_sky;
uniform vec3 softness;                    // metres: radius of the edges of shadow_0, _1, _sky
uniform float occlusion_strength;
uniform vec3 sky_color, ground_color;
uniform float exposure;
uniform vec4 reflected;                   // pattern, repeats, turn, contrast
uniform sampler2DArray patterns, pictures;
uniform vec4 body[9];
in vec3 position_base; in vec3 normal_base; in vec3 position_body; in vec3 normal_body;
in float key;
#ifdef UV
in vec2 mesh_uv;
#endif
#ifdef DECALS
uniform vec4 decals[DECALS];
#endif
layout(location = 0) out vec4 color;
layout(location = 1) out vec4 id;

// Four taps on a disc in the surface's own plane, so that a wide shadow edge does not shade the
// surface itself; turned by a per-pixel angle, whose grain is below the sensor's noise.
float tap(sampler2DShadow map, vec4 p, float bias) {
    vec3 at = p.xyz / p.w * 0.5 + 0.5;
    return texture(map, vec3(at.xy, at.z - bias));
}
float shadow(sampler2DShadow map, mat4 matrix, vec3 from, vec3 u, vec3 w, float radius,
             float bias) {
    vec4 p = matrix * vec4(from, 1.0);
    vec4 a = matrix * vec4(u * radius, 0.0), b = matrix * vec4(w * (0.6 * radius), 0.0);
    return (tap(map, p + a, bias) + tap(map, p - a, bias)
          + tap(map, p + b, bias) + tap(map, p - b, bias)) * 0.25;
}

void main() {
    vec3 n = normalize(normal_base);
    vec3 v = normalize(eye - position_base);
    n = dot(n, v) < 0.0 ? -n : n;

    // Box mapping: the body's dominant axis chooses the plane of the pattern.
    vec3 a = abs(normal_body);
    vec2 uv = a.z > max(a.x, a.y) ? position_body.xy
            : (a.x > a.y ? position_body.yz : position_body.xz);
    float c = body[6].z, s = body[6].w;
    vec2 turned = mat2(c, s, -s, c) * uv * body[6].y + body[7].xy;
    vec3 albedo = body[4].rgb;
#ifdef PATTERN
    albedo = mix(albedo, body[5].rgb, texture(patterns, vec3(turned, body[6].x)).r);
#endif
#ifdef PICTURE
    albedo *= pow(texture(pictures, vec3(turned, body[7].w)).rgb, vec3(2.2));
#endif
#ifdef UV
    albedo *= pow(texture(pictures, vec3(mesh_uv, body[7].w)).rgb, vec3(2.2));
#endif
#ifdef GRAIN
    albedo *= 1.0 + body[5].w
        * (texture(patterns, vec3(turned * 3.7 + 0.31, body[7].z)).r - 0.5);
#endif

    // decals

    float rough = body[8].x, metal = body[8].y, shine = body[8].z;
    float power = 2.0 / max(rough * rough * rough * rough, 1e-4);
    vec3 f0 = mix(vec3(0.08 * shine), albedo, metal);
    vec3 diffuse = albedo * (1.0 - metal);

    float away = 1.0 - max(dot(n, v), 0.0);
    float away2 = away * away;
    float fresnel = away2 * away2 * away * (1.0 - rough);
    vec3 f = f0 + (1.0 - f0) * fresnel * min(1.0, shine + metal);

    float angle = fract(52.98 * fract(dot(gl_FragCoord.xy, vec2(0.0671, 0.00584)))) * 6.2832;
    vec3 t = normalize(abs(n.z) < 0.8 ? vec3(n.y, -n.x, 0.0) : vec3(0.0, n.z, -n.y));
    vec3 b = cross(n, t);
    vec3 u = cos(angle) * t + sin(angle) * b, w = cross(n, u);
    // Away from the surface: a map's own texels must not shade the surface they were taken from.
    vec3 lifted = position_base + n * 0.002;
    float open = mix(1.0, shadow(shadow_sky, shadow_matrix_sky, lifted, u, w, softness.z, 0.0015),
                     occlusion_strength);
    vec3 ambient = mix(ground_color, sky_color, 0.5 + 0.5 * n.z) * open;
    vec3 r = reflect(-v, n);
    vec3 mirrored = mix(ground_color, sky_color, smoothstep(-0.25 - rough, 0.25 + rough, r.z));
    // The room round the scene: a pattern, the blurrier the rougher the surface. A whole number of
    // repeats, and levels of its own, so that no seam shows where the angle starts anew.
    vec2 toward = vec2(atan(r.y, r.x) * 0.159155 + reflected.z, 0.25 * r.z) * reflected.y;
    float shown = textureLod(patterns, vec3(toward, reflected.x), 7.0 * sqrt(rough)).r;
    mirrored *= mix(1.0, 0.1 + 2.7 * shown * shown, reflected.w);
    vec3 sum = diffuse * ambient + f * mirrored * mix(open, 1.0, 0.5);

    // lights
    sum *= exposure;
    // Filmic shoulder: highlights saturate softly, as cameras do.
    sum = sum * (1.0 + sum * 0.12) / (1.0 + sum * 0.45);
    color = vec4(pow(clamp(sum, 0.0, 1.0), vec3(1.0 / 2.2)), key);
    id = vec4(body[4].w, 0.0, 0.0, 1.0);
}
"""

_LIGHT = """
    {
        vec3 to_light = light_position[%(i)d] - position_base;
        float inverse = inversesqrt(dot(to_light, to_light));
        vec3 l = to_light * inverse;
        float nl = max(dot(n, l), 0.0);
        float edge = light_beam[%(i)d].w;
        float beam = clamp((dot(l, -light_beam[%(i)d].xyz) - edge) * 6.0 + 0.5, 0.0, 1.0);
        vec3 light = light_color[%(i)d] * (nl * beam * min(inverse * inverse, 20.0));
        %(shadow)s
        float nh = max(dot(n, normalize(l + v)), 0.0);
        float lobe = pow(nh, power) * (power + 2.0) * 0.125;
        sum += light * (diffuse + f * min(lobe, 60.0) * light_specular[%(i)d]);
    }
"""
_SHADOW = """light *= 1.0 - light_shadow[%(i)d] * (1.0 - shadow(
            shadow_%(i)d, shadow_matrix_%(i)d, lifted, u, w, softness[%(i)d], 0.0006));"""

#: The edge is as wide as a pixel: inside a surface nothing else smooths it.
_DECAL = """
    {
        vec4 p = vec4(position_body, 1.0);
        vec3 q = abs(vec3(dot(decals[%(i)d], p), dot(decals[%(i)d + 1], p),
                          dot(decals[%(i)d + 2], p)));
        float far = max(q.x, max(q.y, q.z));
        float covers = clamp((1.0 - far) / max(fwidth(far), 1e-5) + 0.5, 0.0, 1.0);
        vec4 how = decals[%(i)d + 4];
        float printed = mix(1.0, texture(patterns, vec3(uv * how.y, how.x)).r, how.z);
        albedo = mix(albedo, decals[%(i)d + 3].rgb, covers * printed * decals[%(i)d + 3].a);
    }
"""

#: What a surface's colour comes from; the last is the mesh's own UV map.
SOURCES = ('PLAIN', 'PATTERN', 'PICTURE', 'UV')


def color_vertex(source: str) -> str:
    """Return the vertex shader for a source of colour, one of ``SOURCES``."""
    return COLOR_VERTEX.replace('#version 330\n', f'#version 330\n#define {source}\n')


def color_fragment(light_count: int, source: str, grained: bool, decalled: bool) -> str:
    """Return the fragment shader for a number of lights and a kind of surface."""
    decals = ''.join(_DECAL % {'i': i * DECAL_VEC4S} for i in range(MAX_DECALS * decalled))
    lights = ''.join(_LIGHT % {'i': i, 'shadow': _SHADOW % {'i': i} if i < SHADOWED_LIGHTS else ''}
                     for i in range(light_count))
    defines = (f'#define LIGHTS {light_count}\n#define {source}\n' + '#define GRAIN\n' * grained
               + f'#define DECALS {MAX_DECALS * DECAL_VEC4S}\n' * decalled
               + f'#define SHADOWS {min(light_count, SHADOWED_LIGHTS)}\n')
    return '#version 330\n' + defines + _COLOR_FRAGMENT.replace(
        '    // decals\n', decals).replace('    // lights\n', lights)
