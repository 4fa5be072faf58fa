"""GLSL sources of the OpenGL renderer.

llvmpipe executes both sides of every ``if`` (it masks instead of branching), and a loop's body
with all its texture fetches for every light. So the fragment shader has no branches: it is
compiled once for each number of lights and each kind of surface, which is three times faster.
"""

MAX_LIGHTS = 6
SHADOWED_LIGHTS = 2

DEPTH_VERTEX = """
#version 330
uniform mat4 clip_from_base; uniform mat4 model;
in vec3 in_position;
void main() { gl_Position = clip_from_base * (model * vec4(in_position, 1.0)); }
"""

DEPTH_FRAGMENT = """
#version 330
void main() {}
"""

ID_FRAGMENT = """
#version 330
uniform float body_id;
out vec4 color;
void main() { color = vec4(body_id, 0.0, 0.0, 1.0); }
"""

COLOR_VERTEX = """
#version 330
uniform mat4 clip_from_base; uniform mat4 model; uniform mat3 normal_matrix;
uniform vec3 body_scale;
in vec3 in_position; in vec3 in_normal;
out vec3 position_base; out vec3 normal_base; out vec3 position_body; out vec3 normal_body;
void main() {
    vec4 p = model * vec4(in_position, 1.0);
    position_base = p.xyz;
    normal_base = normal_matrix * in_normal;
    position_body = in_position * body_scale;
    normal_body = in_normal;
    gl_Position = clip_from_base * p;
}
"""

_COLOR_FRAGMENT = """
uniform vec3 eye;
uniform vec3 light_position[LIGHTS]; uniform vec3 light_color[LIGHTS];
uniform sampler2DShadow shadow_0, shadow_1, shadow_sky;
uniform mat4 shadow_matrix_0, shadow_matrix_1, shadow_matrix_sky;
uniform vec3 softness;   // texture units of shadow_0, shadow_1, shadow_sky
uniform float occlusion_strength;
uniform vec3 sky_color, ground_color;
uniform float exposure;
uniform sampler2DArray patterns;
uniform vec3 color_a, color_b;            // linear
uniform vec4 pattern;                     // layer, 1 / scale (1/m), angle, grain layer
uniform vec2 pattern_offset;
uniform float grain_strength;
uniform vec3 surface;                     // roughness, metalness, specular
in vec3 position_base; in vec3 normal_base; in vec3 position_body; in vec3 normal_body;
out vec4 color;

// Five taps turned by a per-pixel angle: cheap on a CPU, and the grain of the edge is below the
// sensor's noise.
float shadow(sampler2DShadow map, mat4 matrix, float radius, float bias) {
    vec4 p = matrix * vec4(position_base, 1.0);
    vec3 at = p.xyz * 0.5 + 0.5;
    at.z -= bias;
    float turn = fract(52.98 * fract(dot(gl_FragCoord.xy, vec2(0.0671, 0.00584)))) * 6.2832;
    vec2 r = radius * vec2(cos(turn), sin(turn));
    return (texture(map, at) + texture(map, at + vec3(r, 0)) + texture(map, at - vec3(r, 0))
          + texture(map, at + vec3(-r.y, r.x, 0) * 0.6)
          + texture(map, at - vec3(-r.y, r.x, 0) * 0.6)) * 0.2;
}

void main() {
    vec3 n = normalize(normal_base);
    vec3 v = normalize(eye - position_base);
    if (dot(n, v) < 0.0) n = -n;

    // Box mapping: the body's dominant axis chooses the plane of the pattern.
    vec3 a = abs(normal_body);
    vec2 uv = a.z > max(a.x, a.y) ? position_body.xy
            : (a.x > a.y ? position_body.yz : position_body.xz);
    float c = cos(pattern.z), s = sin(pattern.z);
    vec2 turned = mat2(c, s, -s, c) * uv * pattern.y + pattern_offset;
    vec3 albedo = color_a;
#ifdef PATTERNED
    albedo = mix(color_a, color_b, texture(patterns, vec3(turned, pattern.x)).r);
#endif
#ifdef GRAINED
    albedo *= 1.0 + grain_strength
        * (texture(patterns, vec3(turned * 3.7 + 0.31, pattern.w)).r - 0.5);
#endif

    float rough = surface.x, metal = surface.y;
    float power = 2.0 / max(rough * rough * rough * rough, 1e-4);
    vec3 f0 = mix(vec3(0.08 * surface.z), albedo, metal);
    vec3 diffuse = albedo * (1.0 - metal);

    float facing = max(dot(n, v), 0.0);
    float fresnel = pow(1.0 - facing, 5.0) * (1.0 - rough) ;
    vec3 f = f0 + (1.0 - f0) * fresnel * min(1.0, surface.z + metal);

    float open = mix(1.0, shadow(shadow_sky, shadow_matrix_sky, softness.z, 0.004),
                     occlusion_strength);
    vec3 ambient = mix(ground_color, sky_color, 0.5 + 0.5 * n.z) * open;
    vec3 r = reflect(-v, n);
    vec3 mirrored = mix(ground_color, sky_color, smoothstep(-0.25 - rough, 0.25 + rough, r.z));
    vec3 sum = diffuse * ambient + f * mirrored * mix(open, 1.0, 0.5);

    // lights
    sum *= exposure;
    // Filmic shoulder: highlights saturate softly, as cameras do.
    sum = sum * (1.0 + sum * 0.12) / (1.0 + sum * 0.45);
    color = vec4(pow(clamp(sum, 0.0, 1.0), vec3(1.0 / 2.2)), 1.0);
}
"""

_LIGHT = """
    {
        vec3 to_light = light_position[%(i)d] - position_base;
        float inverse = inversesqrt(dot(to_light, to_light));
        vec3 l = to_light * inverse;
        float nl = max(dot(n, l), 0.0);
        vec3 light = light_color[%(i)d] * (nl * min(inverse * inverse, 20.0));
        %(shadow)s
        float nh = max(dot(n, normalize(l + v)), 0.0);
        float lobe = pow(nh, power) * (power + 2.0) * 0.125;
        sum += light * (diffuse + f * min(lobe, 60.0));
    }
"""
_SHADOW = ('light *= shadow(shadow_%(i)d, shadow_matrix_%(i)d, softness[%(i)d], '
           '0.002 / max(nl, 0.2));')


def color_fragment(light_count: int, patterned: bool, grained: bool) -> str:
    """The fragment shader for a number of lights and a kind of surface."""
    lights = ''.join(_LIGHT % {'i': i, 'shadow': _SHADOW % {'i': i} if i < SHADOWED_LIGHTS else ''}
                     for i in range(light_count))
    defines = f'#define LIGHTS {light_count}\n'
    defines += '#define PATTERNED\n' * patterned + '#define GRAINED\n' * grained
    return '#version 330\n' + defines + _COLOR_FRAGMENT.replace('    // lights\n', lights)
