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

/* The compiled twin of pose_starts.plane_hypotheses: see there. */

#include <math.h>
#include <stdint.h>
#include <string.h>

/* A row of resting.RestingPoses.memory. */
typedef struct {
    int64_t starts, groups;
    const double *points_m, *heights_m, *rotations;     /* of the starts */
    const int64_t *face, *group_begin;
    const double *downs, *face_heights_m;               /* of the faces */
    const uint8_t *round_side;
} Rest;

enum { MOST = 16 };

static Rest rest_of(const int64_t *row)
{
    Rest rest = {
        row[0], row[1], (const double *)(intptr_t)row[2], (const double *)(intptr_t)row[3],
        (const double *)(intptr_t)row[4], (const int64_t *)(intptr_t)row[5],
        (const int64_t *)(intptr_t)row[6], (const double *)(intptr_t)row[7],
        (const double *)(intptr_t)row[8], (const uint8_t *)(intptr_t)row[9]};
    return rest;
}

/* How far the keypoints of start s lie from where they were seen, in deviations, summed; where
 * that is more than ``bound``, any number above it. */
static double misfit_of(const Rest *rest, int64_t s, int K, const double *R, double reach,
                        const double *ray, const double *measured, const double *sigma,
                        double bound)
{
    double sum = 0;
    for (int k = 0; k < K && !(sum > bound); k++) {
        const double *p = rest->points_m + (s * K + k) * 3;
        double x = p[0] * R[0] + p[1] * R[3] + p[2] * R[6] + reach * ray[0];
        double y = p[0] * R[1] + p[1] * R[4] + p[2] * R[7] + reach * ray[1];
        double z = p[0] * R[2] + p[1] * R[5] + p[2] * R[8] + reach * ray[2];
        double inverse = 1 / (z > 1e-3 ? z : 1e-3);
        sum += (fabs(x * inverse - measured[2 * k]) + fabs(y * inverse - measured[2 * k + 1]))
            / sigma[k];
    }
    return sum;
}

/* The ``most`` groups of one candidate that fit best, as numbers of their best starts, the best
 * first. Returns how many. */
static int best_starts(const Rest *rest, int K, const double *R, double depth_m, double down,
                       const double *ray, const double *measured, const double *sigma, int most,
                       int64_t *chosen)
{
    double misfits[MOST];
    int count = 0;
    for (int64_t g = 0; g < rest->groups; g++) {
        int64_t end = g + 1 < rest->groups ? rest->group_begin[g + 1] : rest->starts;
        int64_t best = rest->group_begin[g];
        double bound = count == most ? misfits[most - 1] : INFINITY, least = INFINITY;
        for (int64_t s = best; s < end; s++) {
            double misfit = misfit_of(rest, s, K, R, (rest->heights_m[s] + depth_m) / down, ray,
                                      measured, sigma, least < bound ? least : bound);
            if (misfit < least) {
                least = misfit;
                best = s;
            }
        }
        int place = count;
        while (place > 0 && least < misfits[place - 1])
            place--;
        if (place >= most)
            continue;
        if (count < most)
            count++;
        for (int i = count - 1; i > place; i--) {
            misfits[i] = misfits[i - 1];
            chosen[i] = chosen[i - 1];
        }
        misfits[place] = least;
        chosen[place] = best;
    }
    return count;
}

/* M candidates; outputs have room for M * most hypotheses, whose number is returned. */
int dr_plane_hypotheses(int M, int K, int most, const int64_t *rests, const double *points_m,
                        const double *measured, const double *sigma, const double *T_base_camera,
                        double height_m, double least_down, const double *weights,
                        int64_t *owner, double *T, double *problem_points_m,
                        double *problem_measured, double *problem_sigma, double *offset_m,
                        double *up, uint8_t *round_up, double *problem_weights)
{
    double R[9], depth_m = height_m - T_base_camera[11];
    int B = 0;
    if (most > MOST)
        most = MOST;
    for (int i = 0; i < 3; i++)
        memcpy(R + 3 * i, T_base_camera + 4 * i, 3 * sizeof(double));
    for (int m = 0; m < M; m++) {
        Rest rest = rest_of(rests + 10 * m);
        const double *seen = measured + (int64_t)m * K * 2, *deviation = sigma + (int64_t)m * K;
        double ray[3] = {seen[0], seen[1], 1};
        double down = ray[0] * R[6] + ray[1] * R[7] + R[8];
        if (!(down < least_down))
            down = least_down;
        int64_t chosen[MOST];
        int count = best_starts(&rest, K, R, depth_m, down, ray, seen, deviation, most, chosen);
        for (int i = 0; i < count; i++, B++) {
            int64_t s = chosen[i], face = rest.face[s];
            const double *Q = rest.rotations + 9 * s;
            double reach = (rest.heights_m[s] + depth_m) / down, *P = T + 16 * B;
            for (int row = 0; row < 3; row++) {
                for (int column = 0; column < 3; column++)
                    P[4 * row + column] = R[row] * Q[column] + R[3 + row] * Q[3 + column]
                        + R[6 + row] * Q[6 + column];
                P[4 * row + 3] = reach * ray[row];
                P[12 + row] = 0;
                up[3 * B + row] = -rest.downs[3 * face + row];
                problem_weights[3 * B + row] = weights[row];
            }
            P[15] = 1;
            owner[B] = m;
            offset_m[B] = rest.face_heights_m[face] + depth_m;
            round_up[B] = rest.round_side[face];
            memcpy(problem_points_m + (int64_t)B * K * 3, points_m + (int64_t)m * K * 3,
                   (size_t)K * 3 * sizeof(double));
            memcpy(problem_measured + (int64_t)B * K * 2, seen, (size_t)K * 2 * sizeof(double));
            memcpy(problem_sigma + (int64_t)B * K, deviation, (size_t)K * sizeof(double));
        }
    }
    return B;
}
