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

"""Figures of several pictures, by hand."""
import json

import numpy as np
import pytest
from sim_trainer.evaluation.matching import Match, PictureResult
from sim_trainer.evaluation.report import CHI2_90, format_table, summarize


def _match(name, position_m, rotation_deg=0.0, pixels=1.0, mahalanobis=1.0):
    return Match(name, 0.9, position_m, np.radians(rotation_deg), pixels, mahalanobis)


@pytest.fixture(scope='module')
def report():
    """Return the report of two pictures."""
    results = [
        PictureResult(('cube', 'cube', 'cone'),
                      (_match('cube', 0.001, 2, 1.0, 6.2), _match('cube', 0.003, 4, 2.0, 6.3)),
                      ('cone',)),
        PictureResult(('cube',), (_match('cube', 0.008, 9, 6.0, 1.0),), ('cone', 'cone'))]
    return summarize(results, ['cone', 'cube', 'pyramid'], [10.0, 30.0])


def test_figures_of_one_object(report):
    expected = {
        'count': 3, 'found': 3, 'found_percent': 100.0, 'false_positives': 0,
        'false_positives_per_picture': 0.0, 'position_error_mean_cm': 0.4,
        'position_error_std_cm': 0.294,     # sqrt((0.3^2 + 0.1^2 + 0.4^2) / 3)
        'position_error_median_cm': 0.3, 'rotation_error_median_deg': 4.0,
        'reprojection_error_mean_px': 3.0, 'coverage_90_percent': 66.7}
    assert {key: report['objects']['cube'][key] for key in expected} == expected


def test_an_object_never_found_has_no_errors(report):
    cone = report['objects']['cone']
    assert (cone['count'], cone['found'], cone['found_percent']) == (1, 0, 0.0)
    assert (cone['false_positives'], cone['false_positives_per_picture']) == (3, 1.5)
    assert cone['position_error_mean_cm'] is cone['coverage_90_percent'] is None


def test_an_object_that_never_stands_there_is_left_out(report):
    assert list(report['objects']) == ['cone', 'cube']


def test_figures_overall(report):
    overall = report['overall']
    assert report['pictures'] == 2
    assert (overall['count'], overall['found'], overall['found_percent']) == (4, 3, 75.0)
    assert overall['false_positives_per_picture'] == 1.5
    assert overall['milliseconds_per_picture_median'] == 20.0
    assert overall['milliseconds_per_picture_p95'] == 29.0


def test_the_report_is_json(report):
    assert json.loads(json.dumps(report)) == report


def test_false_positives_alone_have_no_percentage():
    figures = summarize([PictureResult((), (), ('cone',))], ['cone'], [1.0])
    assert figures['objects']['cone']['found_percent'] is None
    assert figures['overall']['found_percent'] is None


def test_the_ellipsoids_limit_is_the_quantile_of_chi_squared():
    squares = (np.random.default_rng(0).normal(size=(200_000, 3)) ** 2).sum(1)
    assert (squares < CHI2_90).mean() == pytest.approx(0.9, abs=0.002)


def test_the_table_shows_every_row(report):
    lines = format_table(report, 'a title').splitlines()
    assert lines[0] == 'a title'
    assert [line.split()[0] for line in lines[2:5]] == ['cone', 'cube', 'all']
    assert '3 of 3' in lines[3]
    assert '-' in lines[2].split()
    assert lines[-1] == '2 pictures, 20 ms a picture (median), 29 ms (p95)'
