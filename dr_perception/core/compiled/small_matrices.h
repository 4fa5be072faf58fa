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

/* What the other files share. All matrices are row by row. */

#ifndef DR_PERCEPTION_SMALL_MATRICES_H
#define DR_PERCEPTION_SMALL_MATRICES_H

#include <math.h>
#include <string.h>

/* Solve A x = b for m right sides by elimination with row exchange; A (n, n) is overwritten, b
 * (n, m) becomes x. Returns -1 where A is singular. */
static inline int solve(int n, int m, double *A, double *b)
{
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k + 1; i < n; i++)
            if (fabs(A[i * n + k]) > fabs(A[pivot * n + k]))
                pivot = i;
        if (A[pivot * n + k] == 0.0)
            return -1;
        if (pivot != k) {
            for (int j = k; j < n; j++) {
                double kept = A[k * n + j];
                A[k * n + j] = A[pivot * n + j];
                A[pivot * n + j] = kept;
            }
            for (int j = 0; j < m; j++) {
                double kept = b[k * m + j];
                b[k * m + j] = b[pivot * m + j];
                b[pivot * m + j] = kept;
            }
        }
        for (int i = k + 1; i < n; i++) {
            double factor = A[i * n + k] / A[k * n + k];
            for (int j = k + 1; j < n; j++)
                A[i * n + j] -= factor * A[k * n + j];
            for (int j = 0; j < m; j++)
                b[i * m + j] -= factor * b[k * m + j];
        }
    }
    for (int i = n - 1; i >= 0; i--)
        for (int j = 0; j < m; j++) {
            double sum = b[i * m + j];
            for (int k = i + 1; k < n; k++)
                sum -= A[i * n + k] * b[k * m + j];
            b[i * m + j] = sum / A[i * n + i];
        }
    return 0;
}

/* The inverse of a matrix (6, 6); NaN where there is none. */
static inline void invert_6(const double *matrix, double *inverse)
{
    double A[36];
    memcpy(A, matrix, sizeof A);
    for (int i = 0; i < 36; i++)
        inverse[i] = i % 7 == 0;
    if (solve(6, 6, A, inverse))
        for (int i = 0; i < 36; i++)
            inverse[i] = NAN;
}

/* Turn a pose T (4, 4) by the rotation vector step[3:] about its origin and move it by step[:3]. */
static inline void move_pose(const double *T, const double *step, double *moved)
{
    const double *v = step + 3;
    double half = 0.5 * sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    if (half < 1e-12)
        half = 1e-12;
    double ratio = sin(half) / half, a = ratio * cos(half), b = 0.5 * ratio * ratio;
    double square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
    double K[9] = {0, -v[2], v[1], v[2], 0, -v[0], -v[1], v[0], 0}, R[9];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            R[i * 3 + j] = (i == j) + a * K[i * 3 + j]
                + b * (v[i] * v[j] - (i == j ? square : 0.0));
    double result[16];
    memcpy(result, T, sizeof result);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            result[i * 4 + j] = R[i * 3] * T[j] + R[i * 3 + 1] * T[4 + j]
                + R[i * 3 + 2] * T[8 + j];
        result[i * 4 + 3] = T[i * 4 + 3] + step[i];
    }
    memcpy(moved, result, sizeof result);
}

#endif
