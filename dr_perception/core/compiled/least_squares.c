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

/* The compiled twin of least_squares.minimize: see there. */

#include "small_matrices.h"

#include <stdint.h>
#include <stdlib.h>

typedef struct {
    int K;
    double huber;
    const double *points_m, *measured, *sigma, *basis, *offset_m, *up, *weights;
    const uint8_t *round_up;
} Problem;

static void evaluate(const Problem *problem, int64_t b, const double *T, double *r, double *J)
{
    int K = problem->K;
    const double *points = problem->points_m + b * K * 3;
    const double *measured = problem->measured + b * K * 2;
    const double *sigma = problem->sigma + b * K;
    memset(J, 0, (size_t)(2 * K + 3) * 6 * sizeof(double));
    for (int k = 0; k < K; k++) {
        const double *p = points + 3 * k;
        double x = T[0] * p[0] + T[1] * p[1] + T[2] * p[2];
        double y = T[4] * p[0] + T[5] * p[1] + T[6] * p[2];
        double z = T[8] * p[0] + T[9] * p[1] + T[10] * p[2];
        double depth = z + T[11];
        double inverse_z = 1 / (depth > 1e-3 ? depth : 1e-3);
        double u = (x + T[3]) * inverse_z, v = (y + T[7]) * inverse_z;
        double inverse_sigma = 1 / sigma[k], scale = inverse_z * inverse_sigma;
        double du = -u * scale, dv = -v * scale;
        r[2 * k] = (u - measured[2 * k]) * inverse_sigma;
        r[2 * k + 1] = (v - measured[2 * k + 1]) * inverse_sigma;
        /* (scale, 0, du) and (0, scale, dv) times -skew(x, y, z). */
        double *row = J + 12 * k;
        row[0] = scale, row[2] = du;
        row[3] = du * y, row[4] = scale * z - du * x, row[5] = -scale * y;
        row += 6;
        row[1] = scale, row[2] = dv;
        row[3] = dv * y - scale * z, row[4] = -dv * x, row[5] = scale * x;
    }
    const double *w = problem->weights + 3 * b, *up = problem->up + 3 * b;
    const double *e1 = problem->basis, *e2 = e1 + 3, *n = e1 + 6;
    double *rest = r + 2 * K, *rows = J + 12 * K;
    rest[0] = (T[3] * n[0] + T[7] * n[1] + T[11] * n[2] - problem->offset_m[b]) * w[0];
    for (int i = 0; i < 3; i++)
        rows[i] = n[i] * w[0];
    rows += 6;
    if (problem->round_up[b]) {
        double a[3] = {T[2], T[6], T[10]};
        rest[1] = (a[0] * n[0] + a[1] * n[1] + a[2] * n[2] - up[2]) * w[1];
        rest[2] = 0;
        rows[3] = (a[1] * n[2] - a[2] * n[1]) * w[1];
        rows[4] = (a[2] * n[0] - a[0] * n[2]) * w[1];
        rows[5] = (a[0] * n[1] - a[1] * n[0]) * w[1];
        return;
    }
    double a[3];
    for (int i = 0; i < 3; i++)
        a[i] = T[4 * i] * up[0] + T[4 * i + 1] * up[1] + T[4 * i + 2] * up[2];
    for (int i = 0; i < 2; i++, rows += 6) {
        const double *e = i ? e2 : e1;
        rest[1 + i] = (a[0] * e[0] + a[1] * e[1] + a[2] * e[2]) * w[1 + i];
        rows[3] = (a[1] * e[2] - a[2] * e[1]) * w[1 + i];
        rows[4] = (a[2] * e[0] - a[0] * e[2]) * w[1 + i];
        rows[5] = (a[0] * e[1] - a[1] * e[0]) * w[1 + i];
    }
}

static double robust_cost(const double *r, int count, double huber)
{
    double sum = 0;
    for (int i = 0; i < count; i++) {
        double a = fabs(r[i]);
        sum += a <= huber ? a * a : 2 * huber * a - huber * huber;
    }
    return sum;
}

/* A step of one hypothesis; returns by how much it is to lower the cost. */
static double step_of(const double *r, const double *J, int count, double huber, double damping,
                      double *step)
{
    double gradient[6] = {0}, damped[36] = {0};
    for (int i = 0; i < count; i++) {
        double a = fabs(r[i]), w = huber / (a > 1e-12 ? a : 1e-12);
        if (!(w < 1))
            w = 1;
        const double *row = J + 6 * i;
        for (int j = 0; j < 6; j++) {
            double weighted = w * row[j];
            gradient[j] += weighted * r[i];
            for (int k = 0; k <= j; k++)
                damped[6 * j + k] += weighted * row[k];
        }
    }
    for (int j = 0; j < 6; j++) {
        for (int k = 0; k < j; k++)
            damped[6 * k + j] = damped[6 * j + k];
        damped[7 * j] = damped[7 * j] * (1 + damping) + 1e-9;
        step[j] = -gradient[j];
    }
    if (solve(6, 1, damped, step))
        for (int j = 0; j < 6; j++)
            step[j] = NAN;
    double gain = 0;
    for (int j = 0; j < 6; j++)
        gain -= gradient[j] * step[j];
    return gain;
}

/* Move B hypotheses T (B, 4, 4) to their minima; r (B, 2K + 3), J (B, 2K + 3, 6), cost and damping
 * (B,) are of those. ``owner`` (B,) in 0 ... owners - 1. Returns -1 where memory is short. */
int dr_minimize(int64_t B, int K, const double *points_m, const double *measured,
                const double *sigma, const double *basis, const double *offset_m,
                const double *up, const uint8_t *round_up, const double *weights,
                const int64_t *owner, int64_t owners, int iterations, int patience,
                double huber, double hopeless_cost, double converged, double *T, double *r,
                double *J, double *cost, double *damping)
{
    Problem problem = {K, huber, points_m, measured, sigma, basis, offset_m, up, weights,
                       round_up};
    int count = 2 * K + 3;
    size_t row = (size_t)count * sizeof(double);
    double *trial_r = malloc(7 * row + (size_t)owners * sizeof(double));
    uint8_t *left = calloc((size_t)B + 1, 1);
    if (!trial_r || !left) {
        free(trial_r);
        free(left);
        return -1;
    }
    double *trial_J = trial_r + count, *best = trial_J + 6 * count;
    for (int64_t b = 0; b < B; b++) {
        evaluate(&problem, b, T + 16 * b, r + count * b, J + 6 * count * b);
        cost[b] = robust_cost(r + count * b, count, huber);
        damping[b] = 1e-3;
    }
    int done = 0;       /* all steps were small */
    for (int i = 0; i < iterations; i++) {
        if (i == patience) {
            done = 0;
            for (int64_t m = 0; m < owners; m++)
                best[m] = INFINITY;
            for (int64_t b = 0; b < B; b++)
                if (cost[b] < best[owner[b]])
                    best[owner[b]] = cost[b];
            for (int64_t b = 0; b < B; b++)
                left[b] = !(cost[b] < best[owner[b]] + hopeless_cost);
        }
        if (done)
            continue;
        done = 1;
        for (int64_t b = 0; b < B; b++) {
            if (left[b])
                continue;
            double step[6], trial[16];
            double gain = step_of(r + count * b, J + 6 * count * b, count, huber, damping[b],
                                  step);
            move_pose(T + 16 * b, step, trial);
            evaluate(&problem, b, trial, trial_r, trial_J);
            double trial_cost = robust_cost(trial_r, count, huber);
            if (trial_cost < cost[b]) {
                memcpy(T + 16 * b, trial, sizeof trial);
                memcpy(r + count * b, trial_r, row);
                memcpy(J + 6 * count * b, trial_J, 6 * row);
                cost[b] = trial_cost;
                damping[b] *= 0.2;
            } else {        /* tried again, shorter */
                damping[b] *= 8.0;
            }
            if (!(gain < converged))
                done = 0;
        }
    }
    free(trial_r);
    free(left);
    return 0;
}
