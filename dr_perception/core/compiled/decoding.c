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

/* The compiled twin of decoding.join_peaks: see there. */

#include <math.h>
#include <stdint.h>

typedef struct {
    int planes, height, width;
    const float *heat;
} Maps;

static int clipped(int value, int size)
{
    return value < 0 ? 0 : value >= size ? size - 1 : value;
}

static float heat_at(const Maps *maps, int plane, int row, int column)
{
    return maps->heat[((int64_t)plane * maps->height + row) * maps->width + column];
}

/* No neighbour of its plane exceeds it. */
static int is_peak(const Maps *maps, int plane, int row, int column, float here)
{
    for (int r = -1; r <= 1; r++)
        for (int c = -1; c <= 1; c++)
            if (!(heat_at(maps, plane, clipped(row + r, maps->height),
                          clipped(column + c, maps->width)) <= here))
                return 0;
    return 1;
}

static double log_odds(double p, double least)
{
    p = p < least ? least : p > 1 - least ? 1 - least : p;
    return log(p / (1 - p));
}

/* Numbers of the ``most`` strongest peaks' cells, the strongest first. Returns how many. */
static int strongest_peaks(const Maps *maps, float threshold, int most, int64_t *cells)
{
    int count = 0;
    int64_t cell = 0;
    for (int plane = 0; plane < maps->planes; plane++)
        for (int row = 0; row < maps->height; row++, cell += maps->width) {
            const float *line = maps->heat + cell;
            int any = 0;
            for (int column = 0; column < maps->width; column++)   /* nearly always nothing */
                any |= line[column] >= threshold;
            for (int column = 0; any && column < maps->width; column++) {
                if (!(line[column] >= threshold) || !is_peak(maps, plane, row, column,
                                                             line[column]))
                    continue;
                int place = count;
                while (place > 0 && line[column] > maps->heat[cells[place - 1]])
                    place--;
                if (place >= most)
                    continue;
                if (count < most)
                    count++;
                for (int i = count - 1; i > place; i--)
                    cells[i] = cells[i - 1];
                cells[place] = cell + column;
            }
        }
    return count;
}

/* Log-odds of a cell's heat minus those of the strongest other plane there. */
static double margin_of(const Maps *maps, int plane, int row, int column, double least)
{
    double here = log_odds(heat_at(maps, plane, row, column), least);
    if (maps->planes == 1)
        return here;
    float other = 0;
    for (int p = 0; p < maps->planes; p++)
        if (p != plane && !(heat_at(maps, p, row, column) <= other))
            other = heat_at(maps, p, row, column);
    return here - log_odds(other, least);
}

/* heat (planes, height, width), offsets (2K, height, width), log_scales (K, height, width);
 * outputs have room for ``most``. Returns how many there are. */
int dr_join_peaks(int planes, int height, int width, int K, const float *heat,
                  const float *offsets, const float *log_scales, double threshold, int most,
                  double stride_px, double unit_px, double least_log_scale,
                  double most_log_scale, double least_probability, int64_t *cells,
                  int64_t *kinds, double *heats, double *keypoints_px, double *scale_px,
                  double *margin)
{
    const Maps maps = {planes, height, width, heat};
    int64_t area = (int64_t)height * width;
    int count = strongest_peaks(&maps, (float)threshold, most, cells);
    for (int m = 0; m < count; m++) {
        int plane = (int)(cells[m] / area), place = (int)(cells[m] % area);
        int row = place / width, column = place % width;
        kinds[m] = plane;
        heats[m] = heat[cells[m]];
        margin[m] = margin_of(&maps, plane, row, column, least_probability);
        for (int k = 0; k < K; k++) {
            double u = 0, v = 0, total = 0, square = 0;
            for (int i = 0; i < 9; i++) {
                int r = clipped(row + i / 3 - 1, height), c = clipped(column + i % 3 - 1, width);
                int64_t at = (int64_t)r * width + c;
                double scale = log_scales[k * area + at];
                scale = exp(scale < least_log_scale ? least_log_scale
                            : scale > most_log_scale ? most_log_scale : scale);
                double weight = heat_at(&maps, plane, r, c) / (scale * scale);
                total += weight;
                square += weight * scale * scale;
                u += weight * (offsets[2 * k * area + at] * unit_px
                               + c * stride_px + (stride_px - 1) / 2);
                v += weight * (offsets[(2 * k + 1) * area + at] * unit_px
                               + r * stride_px + (stride_px - 1) / 2);
            }
            keypoints_px[(m * K + k) * 2] = u / total;
            keypoints_px[(m * K + k) * 2 + 1] = v / total;
            scale_px[m * K + k] = sqrt(square / total);
        }
    }
    return count;
}
