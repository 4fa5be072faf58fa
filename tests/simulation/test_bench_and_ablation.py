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

"""``bench`` measures complete pictures; ``ablate`` trains what its file says and compares it."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from sim_trainer import cli
from sim_trainer.ablation import run as ablation_run
from sim_trainer.ablation.plan import folder_name, load_plan
from sim_trainer.ablation.report import format_table, write_figure
from sim_trainer.benchmark.pictures import format_bench, measure, STAGES, with_size
from sim_trainer.errors import ConfigurationError

ABLATION = Path(__file__).parents[2] / 'config' / 'ablation.yaml'


def test_a_bench_measures_every_stage_of_pictures_with_lamps(config):
    sized = with_size(config, 96, 96)
    assert sized.frames.scale == 0.2 and sized.randomization.lighting.count.low == 3
    figures = measure(sized, workers=2, count=8)
    assert figures['pictures'] == 8 and figures['pictures_per_s'] > 0
    assert set(figures['stages_ms']) == set(STAGES)
    assert figures['stages_ms']['drawing'] > 1
    # The stages are all of a worker's time: what they add up to explains the rate.
    busy_ms = sum(figures['stages_ms'].values())
    assert 0.3 < figures['pictures_per_s'] * busy_ms / 1e3 / 2 < 1.3
    table = format_bench({'config': 'x', 'cores': 2,
                          'rows': [{'width_px': 96, 'height_px': 96, **figures}]})
    assert '96x96' in table and 'drawing ms' in table


def test_a_bench_of_a_broken_scene_is_its_one_line(config):
    broken = dataclasses.replace(config, arm_urdf='no/arm.urdf')
    with pytest.raises(ConfigurationError, match='arm_urdf: no/arm.urdf: there is no such file'):
        measure(broken, workers=1, count=1)


@pytest.mark.parametrize('text', ['224', '224x', '10x10', 'axb', '9000x9000'])
def test_a_wrong_size_is_refused(text, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(['bench', '--sizes', text])
    assert stop.value.code == 2
    assert 'expected' in capsys.readouterr().err


def test_an_unknown_factor_of_a_preview_is_one_line(reference_path, tmp_path, capsys):
    assert cli.main(['preview', str(reference_path), '--only', 'lights', '--output',
                     str(tmp_path / 'x.png')]) == 2
    assert 'error: --only lights: there is no such factor; expected some of objects' in (
        capsys.readouterr().err)


def test_the_shipped_ablation_changes_what_its_runs_are_named_after():
    _, full, runs = load_plan(ABLATION, ['seed=7'])
    by_name = {run.name: run.config for run in runs}
    assert by_name['full'] == full and full.seed == 7
    assert by_name['no distractors'].randomization.distractors.count.high == 0
    assert not by_name['no camera randomization'].randomization.viewpoint.enabled
    assert by_name['no noise'].randomization.sensor.noise.probability.probability == 0
    assert by_name['textures 10'].randomization.textures.count == 10
    assert by_name['pictures 500'].frames.count == 500
    assert len({folder_name(name) for name in by_name}) == len(runs)
    assert all(config != full for name, config in by_name.items() if name != 'full')


@pytest.mark.parametrize('name', ['networks.yaml', 'real_box_ablation.yaml'])
def test_every_run_of_the_other_shipped_ablations_is_another_one(name):
    _, full, runs = load_plan(ABLATION.with_name(name), [])
    assert len(runs) > 5
    configs = [run.config for run in runs]
    assert all(a != b for i, a in enumerate(configs) for b in configs[:i])
    assert full in configs


@pytest.mark.parametrize('text, message', [
    ('scene: tabletop.yaml\nvariants: [{name: a, set: [randomization.arms.present=0]}]',
     "a: .*randomization.arms: unknown key; did you mean 'arm'"),
    ('scene: nowhere.yaml', 'nowhere.yaml: there is no such file'),
    ('scene: tabletop.yaml\nvariants: [{name: a b}, {name: a_b}]', 'stands twice'),
    ('scene: tabletop.yaml\nvariants: []', 'neither variants nor curves'),
    ('scene: tabletop.yaml\ncurve: []', "curve: unknown key; did you mean 'curves'"),
])
def test_a_wrong_ablation_file_is_said_before_anything_is_trained(tmp_path, text, message):
    (tmp_path / 'tabletop.yaml').write_text((ABLATION.parent / 'tabletop.yaml').read_text())
    file = tmp_path / 'ablation.yaml'
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        load_plan(file, [])


def test_an_ablation_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """What trains and measures is replaced here: tests/training runs the real ones."""
    plan, full, runs = load_plan(ABLATION, [])
    trained = []

    def training(config, folder, resume):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(folder.name)
        folder.mkdir(parents=True)
        (folder / 'metrics.json').write_text('{}')
        (folder / 'model.onnx').write_text('')
        return folder / 'model.onnx'

    figures = {'found_percent': 90.0, 'false_positives_per_picture': 0.1,
               'position_error_mean_cm': 0.3, 'milliseconds_per_picture_median': 36.7}
    monkeypatch.setattr(ablation_run, 'run_training', training)
    monkeypatch.setattr(ablation_run, 'open_estimator', lambda *_: SimpleNamespace(
        contract=SimpleNamespace(provenance={'steps': 850})))     # the clock ended it
    monkeypatch.setattr(ablation_run, 'held_out_pictures', lambda *_: [])
    monkeypatch.setattr(ablation_run, 'evaluate', lambda *_: {'overall': figures})
    monkeypatch.setattr(ablation_run, 'average_precision_of', lambda *_: 0.876)
    with pytest.raises(KeyboardInterrupt):
        ablation_run.run_ablation(plan, full, runs, tmp_path, {'dark': []})
    assert trained == ['full', 'no_distractors']
    done = json.loads((tmp_path / 'results.json').read_text())['runs']
    assert list(done) == ['full', 'no distractors']
    trained.append('not interrupted again')
    results = ablation_run.run_ablation(plan, full, runs, tmp_path, {'dark': []})
    assert len(trained) == len(runs) + 1 and trained.count('full') == 1
    table = format_table(results)
    assert table.count('\n') == len(runs) + 1
    cell = '88 / 90 / 0.30 / 0.10'
    assert f'| full | 4000 | 850 | 37 | {cell} | {cell} | 1.3 / 1.8 / 2.4 |' in table
    write_figure(results, tmp_path / 'ablation.png')
    assert (tmp_path / 'ablation.png').stat().st_size > 5000
