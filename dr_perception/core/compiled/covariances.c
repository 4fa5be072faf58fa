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

/* Inverses of many small matrices. */

#include "small_matrices.h"

#include <stdint.h>

/* The compiled twin of pose_solving.scaled_covariance: covariance, plane and result (M, 6, 6),
 * factors (M,). */
int dr_scaled_covariance(int64_t M, const double *covariance, const double *factors,
                         const double *plane, double *result)
{
    for (int64_t m = 0; m < M; m++, covariance += 36, plane += 36, result += 36) {
        double information[36], inverse = 1 / factors[m], scaled[36];
        double share = 1 - inverse > 0 ? 1 - inverse : 0;
        invert_6(covariance, information);
        for (int i = 0; i < 36; i++)
            information[i] = inverse * information[i] + share * plane[i];
        invert_6(information, scaled);
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 6; j++)
                result[6 * i + j] = (scaled[6 * i + j] + scaled[6 * j + i]) / 2;
    }
    return 0;
}

/* The inverses (M, 6, 6) of matrices; NaN where there is none. */
int dr_inverses(int64_t M, const double *matrices, double *inverses)
{
    for (int64_t m = 0; m < M; m++)
        invert_6(matrices + 36 * m, inverses + 36 * m);
    return 0;
}
