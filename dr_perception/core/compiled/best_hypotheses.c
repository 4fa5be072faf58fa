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

/* The compiled twin of pose_solving._best, after the minimization: see there. */

#include "small_matrices.h"

#include <stdint.h>

/* Gradient (7) and Hessian (7, 7) of the robust cost by the pose and by the object's scale, of a
 * pose T with K keypoints. */
static void normal_equations(int K, const double *points_m, const double *T, const double *r,
                             const double *J, double huber, double *gradient, double *hessian)
{
    memset(gradient, 0, 7 * sizeof(double));
    memset(hessian, 0, 49 * sizeof(double));
    for (int i = 0; i < 2 * K + 3; i++) {
        double row[7] = {0}, a = fabs(r[i]), w = huber / (a > 1e-12 ? a : 1e-12);
        if (!(w < 1))
            w = 1;
        memcpy(row, J + 6 * i, 6 * sizeof(double));
        if (i < 2 * K) {        /* a point moves along its arm when the object grows */
            const double *p = points_m + 3 * (i / 2);
            for (int j = 0; j < 3; j++)
                row[6] += row[j] * (T[4 * j] * p[0] + T[4 * j + 1] * p[1] + T[4 * j + 2] * p[2]);
        }
        for (int j = 0; j < 7; j++) {
            double weighted = w * row[j];
            gradient[j] += weighted * r[i];
            for (int k = 0; k <= j; k++)
                hessian[7 * j + k] += weighted * row[k];
        }
    }
    for (int j = 0; j < 7; j++)
        for (int k = 0; k < j; k++)
            hessian[7 * k + j] = hessian[7 * j + k];
}

/* Of B minimized hypotheses each of ``count`` candidates' best; each candidate has one. */
int dr_best_hypotheses(int B, int K, int count, const int64_t *owner, const double *points_m,
                       const double *weights, double huber, double least_information,
                       double size_sigma, const double *found_T, const double *found_r,
                       const double *found_J, const double *found_cost, double *T,
                       double *covariance, double *misfit, uint8_t *on_plane, double *size_error,
                       double *size_deviations, double *cost)
{
    int rows = 2 * K + 3;
    for (int m = 0; m < count; m++) {
        int best = -1;
        for (int b = 0; b < B; b++)
            if (owner[b] == m && (best < 0 || found_cost[b] < found_cost[best]
                                  || (isnan(found_cost[best]) && !isnan(found_cost[b]))))
                best = b;
        if (best < 0)
            continue;
        const double *P = found_T + 16 * best, *r = found_r + (int64_t)rows * best;
        double gradient[7], hessian[49], information[36], inverse[36], square = 0;
        memcpy(T + 16 * m, P, 16 * sizeof(double));
        cost[m] = found_cost[best];
        for (int i = 0; i < 2 * K; i++)
            square += r[i] * r[i];
        misfit[m] = square / (2 * K);
        normal_equations(K, points_m + (int64_t)best * K * 3, P, r,
                         found_J + (int64_t)rows * 6 * best, huber, gradient, hessian);
        for (int j = 0; j < 7; j++)
            hessian[8 * j] += j < 6 ? least_information : 1 / (size_sigma * size_sigma);
        for (int j = 0; j < 6; j++)
            memcpy(information + 6 * j, hessian + 7 * j, 6 * sizeof(double));
        invert_6(information, inverse);
        for (int j = 0; j < 6; j++)
            for (int k = 0; k < 6; k++)
                covariance[36 * m + 6 * j + k] = (inverse[6 * j + k] + inverse[6 * k + j]) / 2;
        on_plane[m] = weights[3 * best] > 0;
        size_error[m] = size_deviations[m] = NAN;
        double last[7] = {0, 0, 0, 0, 0, 0, 1};         /* row of the inverse: it is symmetric */
        if (on_plane[m] && !solve(7, 1, hessian, last)) {
            double error = 0;
            for (int j = 0; j < 7; j++)
                error += last[j] * gradient[j];
            size_error[m] = fabs(error);
            size_deviations[m] = fabs(error) / sqrt(last[6]);
        }
    }
    return 0;
}
