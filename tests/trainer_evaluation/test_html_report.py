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

"""The HTML report of small sets of pictures."""
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
import json
from pathlib import Path
import re

from dr_perception.core.contract import ModelContract
import numpy as np
import pytest
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.evaluation.annotation import free_place
from sim_trainer.evaluation.trust import reliability
from sim_trainer.report import page, tiles
from sim_trainer.report.encoding import figure_uri, picture_uri
from sim_trainer.report.plots import bin_chart, curve_chart, object_chart
from sim_trainer.report.run_report import measured_sets, MeasuredSet, RunReport
from sim_trainer.report.summary import duration, sentences, set_figures
from sim_trainer.report.training_log import read_curves
from sim_trainer.report.trust_plots import (coverage_chart, reliability_chart, risk_chart,
                                            risk_curves)
from sim_trainer.report.write import write_report

#: A name that breaks HTML that is not escaped and mathematics that is not wanted.
NASTY = '<b>&"cube$_{'
NOW = datetime(2030, 1, 2, 3, 4)
VOID = {'meta', 'img', 'br'}


class Tags(HTMLParser):
    """Tags that are open, and all headings and addresses."""

    def __init__(self):
        """Begin with nothing."""
        super().__init__()
        self.open, self.addresses, self.headings, self.seen = [], [], [], set()

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.addresses += [v for k, v in attributes if k in ('src', 'href', 'srcset', 'data')]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == 'h2':
            self.headings.append(data)


def parsed(text):
    """Return the tags of a document, all closed."""
    tags = Tags()
    tags.feed(text)
    tags.close()
    assert tags.open == []
    return tags


@pytest.fixture(scope='module')
def contract(catalogue):
    """Return a contract whose cube has a nasty name."""
    objects = tuple(replace(model, name=NASTY) if name == 'cube' else model
                    for name, model in catalogue.items())
    return ModelContract('tiny <i>', objects, None, None, provenance={
        'machine': 'a <machine>', 'trainer': 'sim_trainer 9.9', 'weight': np.float32(0.5)})


@pytest.fixture(scope='module')
def picture(camera):
    """Return a function: a noisy picture with a truth."""
    def make(number, instances):
        noise = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        return BopPicture(number, Path('x.png'), noise, camera, None, instances)
    return make


@pytest.fixture(scope='module')
def results(picture, truth, detection):
    """Return two pictures: found, missed, invented, and at the picture's edge."""
    return [
        (picture(0, [truth(NASTY, [0, 0, 1]), truth('cylinder', [0.3, 0.2, 1], None)]),
         [detection(NASTY, [0.01, 0, 1], 0.9), detection('mug', [0, 0, 1], 0.8),
          detection('tetrahedron', [-2, 0, 1], 0.7)]),
        (picture(1, [truth(NASTY, [0.1, 0, 1.3], 0.4)]),
         [detection(NASTY, [0.1, 0, 1.315], 0.6)])]


@pytest.fixture(scope='module')
def run(contract, results, tmp_path_factory):
    """Return a run with a log, notes, and three sets."""
    log = tmp_path_factory.mktemp('run') / 'log.jsonl'
    rows = [{'step': s, 'time_s': 1.0, 'loss': 100.0 / s, 'error_px': float('nan')}
            for s in (1, 50, 100)]
    log.write_text('\n'.join(map(json.dumps, rows)) + '\n{"step": 150, "lo')
    return RunReport(contract, 'seed: 1  # </pre><script>', log,
                     {'held-out simulation': results, 'stress: <dark>': results[1:],
                      'empty': []}, ['The <best> of 3 was kept.'], 3725.0)


@pytest.fixture(scope='module')
def text(run, tmp_path_factory):
    """Return the report's text."""
    path = tmp_path_factory.mktemp('report') / 'report.html'
    write_report(path, run, NOW)
    return path.read_text(encoding='utf-8')


def test_the_sections_come_in_order(text):
    assert parsed(text).headings == [
        'Sets of pictures', 'Training', 'Predictions', 'What is found and how exactly',
        'Do score and covariance mean what they say', 'Which kind is taken for which', 'In full']


def test_nothing_outside_of_the_file_is_wanted(text):
    tags = parsed(text)
    assert tags.addresses
    assert all(re.match('data:image/(png|jpeg);base64,', a) for a in tags.addresses)
    assert not tags.seen & {'script', 'link', 'iframe', 'object', 'a', 'b', 'i', 'best'}
    assert 'http:' not in text and 'https:' not in text and 'url(' not in text


def test_the_head_says_what_and_how_well(text):
    for part in ('tiny &lt;i&gt;', '2030-01-02 03:04', '1 h 2 min', 'a &lt;machine&gt;',
                 'sim_trainer 9.9', 'The &lt;best&gt; of 3 was kept.',
                 'On held-out simulation, 2 of 3 objects are found within 2 cm, with a mean '
                 'error of 1.25 cm, and 1.00 inventions a picture (2 pictures).',
                 'Weakest object: cylinder, 0 % of 1.'):
        assert part in text


def test_what_the_user_wrote_is_escaped(text):
    assert NASTY not in text
    assert '&lt;b&gt;&amp;&quot;cube$_{' in text
    assert '</pre><script>' not in text


def test_the_worst_errors_are_shown(text):
    for part in ('cylinder missed, nothing reported there, 1.06 m away, picture 0',
                 'mug invented with score 0.80', 'cube$_{ 1.50 cm and 0° off, score 0.60, '):
        assert part in text


def test_the_figures_in_full_are_json(text):
    block = re.findall('<pre>(.*?)</pre>', text, re.DOTALL)[1]
    figures = json.loads(block.replace('&quot;', '"').replace('&lt;', '<').replace('&gt;', '>')
                         .replace('&amp;', '&'))
    assert figures['seconds'] == 3725
    assert figures['provenance']['weight'] == 0.5
    main = figures['sets']['held-out simulation']
    assert main['overall']['found'] == 2
    assert main['coverage'] == {'0.5': 1.0, '0.9': 1.0, '0.95': 1.0}
    assert main['confusion']['counts'][2] == [0, 0, 0, 1]
    assert figures['sets']['empty']['overall']['found_percent'] is None


def test_a_run_without_pictures_and_log(contract, tmp_path):
    path = tmp_path / 'report.html'
    write_report(path, RunReport(contract, '', tmp_path / 'none.jsonl', {}), NOW)
    text = path.read_text(encoding='utf-8')
    parsed(text)
    assert 'There is no training log.' in text
    assert 'There are no pictures.' in text
    assert 'nothing is known of this model' in text


def test_the_log_is_read_with_gaps(run, tmp_path):
    curves = read_curves(run.log_path)
    assert list(curves) == ['loss']
    assert curves['loss'].tolist() == [[1, 100], [50, 2], [100, 1]]
    log = tmp_path / 'log.jsonl'
    log.write_text('{"step": 1, "a": 1}\n[]\n{"a": 2}\n{"step": 2, "a": 3, "found": 0.5, '
                   '"best": true}\n')
    curves = read_curves(log)
    assert {key: rows.tolist() for key, rows in curves.items()} == {
        'a': [[1, 1], [2, 3]], 'found': [[2, 0.5]]}
    assert read_curves(None) == {}
    log.write_text('')
    assert read_curves(log) == {}


def test_charts_of_nothing_are_drawn(catalogue, picture, truth):
    missed = MeasuredSet('missed', [(picture(0, [truth('cube', [0, 0, 1], None)]), [])],
                         catalogue)
    curves = risk_curves(missed.records)
    for chart in (object_chart([]), bin_chart([], 'x', 'm'), coverage_chart([]),
                  object_chart(set_figures(missed).objects), risk_chart(curves, wrong=True),
                  reliability_chart(reliability([], [])),
                  curve_chart('val_error_px', np.array([[5.0, 0.0]]))):
        assert figure_uri(chart).startswith('data:image/png;base64,')


def test_a_close_view_has_its_object_in_the_middle(catalogue, picture, truth, detection):
    dark = picture(0, [truth('cube', [0.3, 0.2, 1])])
    dark.image_rgb[:] = 0
    measured = MeasuredSet('dark', [(dark, [])], catalogue)
    [tile] = tiles.missed(measured, 4)
    assert tile.image_rgb.shape == (tiles.CLOSE_SIDE_PX, tiles.CLOSE_SIDE_PX, 3)
    green = np.argwhere(tile.image_rgb[..., 1].astype(int) > tile.image_rgb[..., 0] + 60)
    middle = (green.min(0) + green.max(0)) / 2
    assert np.abs(middle - tiles.CLOSE_SIDE_PX / 2).max() < 12     # a pixel is 6 here


def test_samples_are_spread_over_the_set(results, contract):
    [measured] = measured_sets(RunReport(contract, '', None, {'x': results * 5}))
    chosen = tiles.samples(measured, 3)
    assert [t.caption for t in chosen] == [
        'picture 0: 1 of 2 found, 2 invented', 'picture 0: 1 of 2 found, 2 invented',
        'picture 1: 1 of 1 found, 0 invented']
    assert len(tiles.samples(measured, 99)) == 10
    assert tiles.samples(replace(measured, results=[]), 3) == []


def test_a_noisy_picture_is_compressed_more():
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    plain = np.full((300, 300, 3), 90, np.uint8)
    assert len(picture_uri(noise)) < 100_000
    assert len(picture_uri(plain)) < len(picture_uri(noise)) / 10


def test_sentences_name_the_hardest_set(run):
    figures = [set_figures(measured) for measured in measured_sets(run)]
    assert sentences(figures)[-1] == ('Of the other sets, stress: <dark> is the hardest: 100 % '
                                      'found, 0.00 inventions a picture.')
    assert len(sentences(figures[1:])) == 2         # nothing weak, no other set
    assert sentences([figures[2], figures[0]]) == ['On empty no object was asked for.']


@pytest.mark.parametrize('seconds, words', [(0.4, '0 s'), (59.6, '1 min 0 s'),
                                            (725, '12 min 5 s'), (12_000, '3 h 20 min')])
def test_durations_are_for_people(seconds, words):
    assert duration(seconds) == words


def test_a_table_escapes_every_cell():
    text = page.table(['<x>'], [['<y>', '<z>']]) + page.matrix(['<r>'], ['<c>'], [[3]])
    assert not re.search('<[xyzrc]>', text)


def test_labels_stand_in_the_picture_and_not_on_each_other():
    image = np.zeros((100, 200, 3), np.uint8)
    taken = []
    places = [free_place(image, 'a cube 0.90', np.array([190.0, 50.0]), taken)
              for _ in range(3)]
    assert [place[1] for place in places] == [50, 39, 61]
    assert all(right <= 200 for _, right, _ in taken)
    assert free_place(image, 'a', np.array([-50.0, 500.0]), []).tolist() == [1, 96]
