/*
 * Copyright 2026 dr_perception maintainers
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

/* The compiled twin of the functions in edges/edge_points.py, profiles.py, fitting.py and
 * evidence.py: see there. */

#include "small_matrices.h"

#include <stdint.h>
#include <stdlib.h>

static double dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void rotated(const double *T, const double *v, double *result)
{
    for (int i = 0; i < 3; i++)
        result[i] = T[4 * i] * v[0] + T[4 * i + 1] * v[1] + T[4 * i + 2] * v[2];
}

/* edge_points.visible_edge_points. start_m, vector_m (kinds, E, 3), normals (2, kinds, E, 3),
 * offsets_m (2, kinds, E), is_crease, is_edge (kinds, E); T (M, 4, 4). Outputs as EdgePoints.
 * Returns -1 where memory is short. */
int dr_visible_edge_points(int64_t M, int64_t kind_count, int E, int S, double nearest_m,
                           const double *start_m, const double *vector_m, const double *normals,
                           const double *offsets_m, const uint8_t *is_crease,
                           const uint8_t *is_edge, const int64_t *kinds, const double *T_all,
                           double *points_m, double *directions, uint8_t *on_outline,
                           double *length, uint8_t *is_seen)
{
    double *reached = malloc((size_t)E * (2 * sizeof(double) + 1));
    if (!reached)
        return -1;
    double *lengths = reached + E;
    uint8_t *outline = (uint8_t *)(lengths + E);
    for (int64_t m = 0; m < M; m++) {
        const double *T = T_all + 16 * m, t[3] = {T[3], T[7], T[11]};
        double eye[3], nearest = INFINITY, total = 0;
        for (int j = 0; j < 3; j++)
            eye[j] = -(t[0] * T[j] + t[1] * T[4 + j] + t[2] * T[8 + j]);
        int64_t first = kinds[m] * E, second = (kind_count + kinds[m]) * E;
        for (int e = 0; e < E; e++) {
            int64_t at = first + e;
            int one = dot(normals + 3 * at, eye) > offsets_m[at];
            int two = dot(normals + 3 * (second + e), eye) > offsets_m[second + e];
            outline[e] = one != two;
            lengths[e] = 0;
            if (!is_edge[at] || !(outline[e] || (one && two && is_crease[at])))
                continue;
            double start[3], end[3];
            rotated(T, start_m + 3 * at, start);
            rotated(T, vector_m + 3 * at, end);
            for (int i = 0; i < 3; i++) {
                start[i] += t[i];
                end[i] += start[i];
            }
            double low = start[2] < end[2] ? start[2] : end[2];
            if (low < nearest)
                nearest = low;
            lengths[e] = hypot(end[0] / end[2] - start[0] / start[2],
                               end[1] / end[2] - start[1] / start[2]);
        }
        int ahead = nearest > nearest_m;
        if (!ahead)             /* no length is one where an end lies behind the camera */
            memset(lengths, 0, (size_t)E * sizeof(double));
        for (int e = 0; e < E; e++)
            total += lengths[e];
        is_seen[m] = ahead && total > 0;
        length[m] = total;
        double sum = 0, whole = is_seen[m] ? total : 1.0;
        for (int e = 0; e < E; e++) {
            sum += lengths[e];
            reached[e] = sum / whole;
        }
        for (int s = 0, e = 0; s < S; s++) {
            double wanted = (s + 0.5) / S;
            while (e < E - 1 && reached[e] < wanted)
                e++;
            double part = 1 - (reached[e] - wanted) * total
                / (lengths[e] > 0 ? lengths[e] : 1.0);
            part = part < 0 ? 0 : part > 1 ? 1 : part;
            const double *vector = vector_m + 3 * (first + e);
            double norm = sqrt(dot(vector, vector));
            for (int i = 0; i < 3; i++) {
                points_m[(m * S + s) * 3 + i] = start_m[3 * (first + e) + i] + vector[i] * part;
                directions[(m * S + s) * 3 + i] = vector[i] / (norm > 0 ? norm : 1.0);
            }
            on_outline[m * S + s] = outline[e];
        }
    }
    free(reached);
    return 0;
}

/* The first part of profiles.edge_profiles: points (M, S, 3) in the camera's frame, and unit
 * normals (M, S, 2) of the edges in the picture. */
int dr_edge_normals(int64_t M, int S, const double *points_m, const double *directions,
                    const uint8_t *is_seen, const double *T_all, double fx_px, double fy_px,
                    double *points_camera, double *normals)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t i = m * S; i < (m + 1) * S; i++) {
            const double *T = T_all + 16 * m;
            double along[3], *P = points_camera + 3 * i;
            rotated(T, directions + 3 * i, along);
            rotated(T, points_m + 3 * i, P);
            P[0] += T[3], P[1] += T[7], P[2] += T[11];
            if (!is_seen[m])
                P[0] = P[1] = 0, P[2] = 1;
            double x = -fy_px * (along[1] - P[1] / P[2] * along[2]);
            double y = fx_px * (along[0] - P[0] / P[2] * along[2]);
            double norm = sqrt(x * x + y * y);
            if (!(norm > 0))
                norm = 1;
            normals[2 * i] = x / norm;
            normals[2 * i + 1] = y / norm;
        }
    return 0;
}

/* The second part: which of M x S pixels lie in a picture of width x height, and the places
 * (M S, 2 reach + 3, 2) to read, in a part of it that begins at (left, top). */
int dr_profile_places(int64_t M, int S, int reach_px, int width_px, int height_px, int left_px,
                      int top_px, const double *pixels, const double *normals,
                      const uint8_t *is_seen, uint8_t *is_inside, float *places)
{
    for (int64_t i = 0; i < M * S; i++) {
        double x = pixels[2 * i], y = pixels[2 * i + 1];
        if (!(isfinite(x) && isfinite(y)))
            x = y = -1e4;
        is_inside[i] = is_seen[i / S] && x >= 1 && x <= width_px - 2 && y >= 1
            && y <= height_px - 2;
        x -= left_px, y -= top_px;
        float u = (float)(x < -1e4 ? -1e4 : x > 1e4 ? 1e4 : x);
        float v = (float)(y < -1e4 ? -1e4 : y > 1e4 ? 1e4 : y);
        float nu = (float)normals[2 * i], nv = (float)normals[2 * i + 1];
        for (int step = -reach_px - 1; step <= reach_px + 1; step++) {
            *places++ = u + nu * (float)step;
            *places++ = v + nv * (float)step;
        }
    }
    return 0;
}

/* The third part: gradients (N, 2 reach + 1) of colours read (N, 2 reach + 3, 3). */
int dr_profile_gradients(int64_t N, int reach_px, const uint8_t *colours, float *gradients)
{
    for (int64_t n = 0; n < N; n++, colours += 6)
        for (int i = 0; i < 2 * reach_px + 1; i++, colours += 3) {
            int sum = 0;
            for (int c = 0; c < 3; c++) {
                int slope = (int)colours[6 + c] - (int)colours[c];
                sum += slope * slope;
            }
            *gradients++ = 0.5f * sqrtf((float)sum);
        }
    return 0;
}

typedef struct {
    double expected_px, tolerance_px, faint, size_sigma;
} Trust;

/* fitting._edges_found for one point. */
static void edge_found(const float *gradients, int reach, double expected_px, const Trust *trust,
                       double *offset, double *weight)
{
    int best = 0;
    float most = -1;
    for (int i = 0; i < 2 * reach + 1; i++) {
        if (gradients[i] <= most)       /* the factor below is at most 1 */
            continue;
        float away = ((float)(i - reach) - (float)expected_px) / (float)trust->expected_px;
        float likely = gradients[i] * expf(-0.5f * away * away);
        if (likely > most) {
            most = likely;
            best = i;
        }
    }
    best = best < 1 ? 1 : best > 2 * reach - 1 ? 2 * reach - 1 : best;
    float left = gradients[best - 1], peak = gradients[best], right = gradients[best + 1];
    float bend = left - 2 * peak + right;
    if (bend > -1e-6f)
        bend = -1e-6f;
    float top = 0.5f * (left - right) / bend;
    *offset = (float)(best - reach) + (top < -1 ? -1 : top > 1 ? 1 : top);
    double off = (*offset - expected_px) / trust->tolerance_px;
    *weight = (double)(peak / (peak + (float)trust->faint)) / (1 + off * off);
}

/* Pixels along the normal that a point moves by when the pose moves, (6,). */
static void point_jacobian(const double *normal, const double *P, const double *origin,
                           double fx_px, double fy_px, double *J)
{
    double u = normal[0] * fx_px / P[2], v = normal[1] * fy_px / P[2];
    double w = -(u * P[0] + v * P[1]) / P[2];
    double x = P[0] - origin[0], y = P[1] - origin[1], z = P[2] - origin[2];
    J[0] = u, J[1] = v, J[2] = w;
    J[3] = y * w - z * v, J[4] = z * u - x * w, J[5] = x * v - y * u;
}

/* fitting._sizes for one hypothesis: ``sums`` is the symmetric matrix (10, 10) of weighted
 * products of the six derivatives by the pose, the three by the sizes, and the residual. */
static void sizes(const double *sums, const double *information, const double *gradient,
                  double sigma, double *chi_squared, double *error)
{
    double A[36], pose[24], curvature[9], slope[3], change[3];
    memcpy(A, information, sizeof A);
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 3; j++)
            pose[4 * i + j] = sums[10 * i + 6 + j];
        pose[4 * i + 3] = gradient[i];
    }
    *chi_squared = *error = 0;
    if (solve(6, 4, A, pose))
        return;
    for (int i = 0; i < 3; i++) {
        slope[i] = sums[10 * (6 + i) + 9];
        for (int k = 0; k < 6; k++)
            slope[i] -= sums[10 * k + 6 + i] * pose[4 * k + 3];
        change[i] = slope[i];
        for (int j = 0; j < 3; j++) {
            double value = sums[10 * (6 + i) + 6 + j] + (i == j ? 1 / (sigma * sigma) : 0);
            for (int k = 0; k < 6; k++)
                value -= sums[10 * k + 6 + i] * pose[4 * k + j];
            curvature[3 * i + j] = value;
        }
    }
    if (solve(3, 1, curvature, change))
        return;
    for (int i = 0; i < 3; i++) {
        *chi_squared += slope[i] * change[i];
        if (fabs(change[i]) > *error)
            *error = fabs(change[i]);
    }
}

/* fitting.step_towards_edges: ``steps`` steps from profiles that were read at the poses
 * T (M, 4, 4), which are moved. ``moved`` (M, 6) is the way from the prior's pose, in and out;
 * information (M, 6, 6), size_chi_squared and size_error (M,) are of the last step. Returns -1
 * where memory is short. */
int dr_refine_reading(int64_t M, int S, int reach_px, int steps, double weight_px,
                      double expected_px, double tolerance_px, double faint, double size_sigma,
                      double fx_px, double fy_px, const float *gradients, const double *normals,
                      const double *points_camera, const uint8_t *is_inside,
                      const double *points_m, const double *length, const double *prior,
                      double *T_all, double *moved_all, double *information_all,
                      double *size_chi_squared, double *size_error)
{
    const Trust trust = {expected_px, tolerance_px, faint, size_sigma};
    int width = 2 * reach_px + 1;
    double *J = malloc((size_t)S * 9 * sizeof(double));
    if (!J)
        return -1;
    for (int64_t m = 0; m < M; m++) {
        double *T = T_all + 16 * m, *moved = moved_all + 6 * m;
        double *information = information_all + 36 * m;
        const double origin[3] = {T[3], T[7], T[11]}, *believed = prior + 36 * m;
        double before[6], gradient[6], sums[100], weight = weight_px * length[m] / S;
        memcpy(before, moved, sizeof before);
        for (int s = 0; s < S; s++) {
            int64_t i = m * S + s;
            double *row = J + 9 * s;
            point_jacobian(normals + 2 * i, points_camera + 3 * i, origin, fx_px, fy_px, row);
            /* When the object grows along its x, y and z. */
            for (int j = 0; j < 3; j++)
                row[6 + j] = (row[0] * T[j] + row[1] * T[4 + j] + row[2] * T[8 + j])
                    * points_m[3 * i + j];
        }
        for (int step = 0; step < steps; step++) {
            int known = step + 1 < steps ? 6 : 9;       /* sizes: at the last step alone */
            memset(sums, 0, sizeof sums);
            for (int s = 0; s < S; s++) {
                int64_t i = m * S + s;
                if (!is_inside[i])
                    continue;
                const double *row = J + 9 * s;
                double expected = 0, offset, trusted;
                for (int j = 0; j < 6; j++)
                    expected += row[j] * (moved[j] - before[j]);
                edge_found(gradients + width * i, reach_px, expected, &trust, &offset, &trusted);
                trusted *= weight;
                for (int j = 0; j < known; j++) {
                    double weighted = trusted * row[j];
                    for (int k = 0; k <= j; k++)
                        sums[10 * j + k] += weighted * row[k];
                    sums[10 * j + 9] += weighted * (offset - expected);
                }
            }
            for (int j = 0; j < 9; j++)
                for (int k = 0; k < j; k++)
                    sums[10 * k + j] = sums[10 * j + k];
            double A[36], change[6];
            for (int j = 0; j < 6; j++) {
                gradient[j] = sums[10 * j + 9];
                for (int k = 0; k < 6; k++) {
                    information[6 * j + k] = believed[6 * j + k] + sums[10 * j + k];
                    gradient[j] -= believed[6 * j + k] * moved[k];
                }
                change[j] = gradient[j];
            }
            memcpy(A, information, sizeof A);
            if (solve(6, 1, A, change))
                for (int j = 0; j < 6; j++)
                    change[j] = NAN;
            for (int j = 0; j < 6; j++)
                moved[j] += change[j];
        }
        sizes(sums, information, gradient, trust.size_sigma, size_chi_squared + m,
              size_error + m);
        double way[6];
        for (int j = 0; j < 6; j++)
            way[j] = moved[j] - before[j];
        move_pose(T, way, T);
    }
    free(J);
    return 0;
}

/* The n-th smallest (from 0) of ``values``, which are put into another order. */
static float nth_smallest(float *values, int64_t count, int64_t n)
{
    int64_t low = 0, high = count - 1;
    while (low < high) {
        float pivot = values[(low + high) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (pivot < values[j])
                j--;
            if (i <= j) {
                float kept = values[i];
                values[i++] = values[j];
                values[j--] = kept;
            }
        }
        if (n <= j)
            high = j;
        else if (n >= i)
            low = i;
        else
            break;
    }
    return values[n];
}

/* evidence.edge_evidence: features (M, 8). ``unknown`` (4,) stands where fewer than ``fewest``
 * points count. Returns -1 where memory is short. */
int dr_edge_evidence(int64_t M, int S, int reach_px, int fewest, double least_noise,
                     double enough, const double *unknown, const float *gradients,
                     const uint8_t *is_inside, const uint8_t *on_outline, double *features)
{
    int width = 2 * reach_px + 1;
    int64_t count = (int64_t)S * width;
    float *sorted = malloc((size_t)count * sizeof(float));
    if (!sorted)
        return -1;
    for (int64_t m = 0; m < M; m++) {
        const float *all = gradients + count * m;
        memcpy(sorted, all, (size_t)count * sizeof(float));
        float middle = nth_smallest(sorted, count, count / 2);
        if (count % 2 == 0) {
            float below = -INFINITY;    /* the largest of the lower half */
            for (int64_t i = 0; i < count / 2; i++)
                if (sorted[i] > below)
                    below = sorted[i];
            middle = 0.5f * (middle + below);
        }
        float noise = middle + (float)least_noise;
        for (int part = 0; part < 2; part++) {
            double support = 0, share = 0, contrast = 0, strength = 0, distance = 0;
            int points = 0;
            for (int s = 0; s < S; s++) {
                int64_t i = m * S + s;
                if (!is_inside[i] || (on_outline[i] != 0) != (part == 0))
                    continue;
                const float *G = all + (int64_t)s * width;
                float peak = G[0], here = G[reach_px];
                int best = 0;
                for (int j = 1; j < width; j++)
                    if (G[j] > peak) {
                        peak = G[j];
                        best = j;
                    }
                for (int j = reach_px - 1; j <= reach_px + 1; j++)
                    if (G[j] > here)
                        here = G[j];
                double strong = peak < enough ? peak : enough;
                points++;
                support += here / (peak + noise);
                share += here > 0.6f * peak && here > 2 * noise;
                contrast += here;
                strength += strong;
                distance += abs(best - reach_px) * strong;
            }
            double *row = features + 8 * m + 4 * part;
            if (points < fewest) {
                memcpy(row, unknown, 4 * sizeof(double));
                continue;
            }
            row[0] = support / points;
            row[1] = share / points;
            row[2] = distance / (strength > 1e-6 ? strength : 1e-6);
            row[3] = log(contrast / points + 1);
        }
    }
    free(sorted);
    return 0;
}
