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

/* The compiled twin of pose_starts.plane_starts: see there. */

#include <math.h>
#include <stdint.h>

/* One candidate: the ``most`` hypotheses that fit best, as numbers of their best starts, the best
 * first. ``reach`` (S,) receives how far along the ray each start stands. Returns how many. */
int dr_plane_starts(int S, int K, int G, const double *points_m, const double *heights_m,
                    const int64_t *group_begin, const double *R_base_camera, double depth_m,
                    double down, const double *ray, const double *measured, const double *sigma,
                    int most, int64_t *chosen, double *reach)
{
    double misfits[16];
    int count = 0;
    if (most > 16)
        most = 16;
    for (int g = 0; g < G; g++) {
        int64_t end = g + 1 < G ? group_begin[g + 1] : S, best = group_begin[g];
        double least = INFINITY;
        for (int64_t s = group_begin[g]; s < end; s++) {
            double far = (heights_m[s] + depth_m) / down, misfit = 0;
            reach[s] = far;
            for (int k = 0; k < K; k++) {
                const double *p = points_m + (s * K + k) * 3, *R = R_base_camera;
                double x = p[0] * R[0] + p[1] * R[3] + p[2] * R[6] + far * ray[0];
                double y = p[0] * R[1] + p[1] * R[4] + p[2] * R[7] + far * ray[1];
                double z = p[0] * R[2] + p[1] * R[5] + p[2] * R[8] + far * ray[2];
                double inverse = 1 / (z > 1e-3 ? z : 1e-3);
                misfit += (fabs(x * inverse - measured[2 * k])
                           + fabs(y * inverse - measured[2 * k + 1])) / sigma[k];
            }
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
