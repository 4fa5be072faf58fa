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

"""Subframes of the configuration: to the catalogue, and what is refused."""
import dataclasses

from dr_perception.core.transforms import rotation_about
import numpy as np
import pytest
from sim_trainer.configuration.loader import build, to_plain
from sim_trainer.configuration.objects import ObjectConfig
from sim_trainer.configuration.schema import load_config
from sim_trainer.dataset.frames import scene_key
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects.catalogue import build_catalogue

CUBE = {'name': 'cube', 'shape': 'box', 'size_m': [0.05, 0.05, 0.05]}
#: Half a turn about x: the tool's z axis points down on the object.
FROM_ABOVE = [0.0, 0.0, 0.025, 1.0, 0.0, 0.0, 0.0]


def test_they_reach_the_catalogue():
    entry = build(ObjectConfig, {**CUBE, 'subframes': {'grasp_top': FROM_ABOVE}})
    model, = build_catalogue((entry,))
    T_object_grasp = model.subframes['grasp_top']
    assert np.allclose(T_object_grasp[:3, :3], rotation_about('x', np.pi))
    assert np.allclose(T_object_grasp[:3, 3], [0.0, 0.0, 0.025])


def test_an_object_without_them_has_none():
    model, = build_catalogue((build(ObjectConfig, CUBE),))
    assert model.subframes == {}


def test_plain_values_and_back():
    entry = build(ObjectConfig, {**CUBE, 'subframes': {'a': FROM_ABOVE, 'b': FROM_ABOVE}})
    plain = to_plain(entry)
    assert plain['subframes'] == {'a': FROM_ABOVE, 'b': FROM_ABOVE}
    assert build(ObjectConfig, plain) == entry
    assert 'subframes' not in to_plain(build(ObjectConfig, CUBE))


def test_they_change_neither_pictures_nor_weights(repository_root):
    config = load_config(repository_root / 'config' / 'tabletop.yaml')
    first = build(ObjectConfig, {**to_plain(config.objects[0]), 'subframes': {'a': FROM_ABOVE}})
    other = dataclasses.replace(config, objects=(first, *config.objects[1:]))
    assert scene_key(other) == scene_key(config)
    resume = pytest.importorskip('sim_trainer.training.resume', reason='needs torch',
                                 exc_type=ImportError)
    assert resume.config_key(other) == resume.config_key(config)


@pytest.mark.parametrize('value, message', [
    ([1], r'objects.0.subframes: got \[1\]; expected names with seven numbers each'),
    ({'top': [0, 0, 1]}, r'subframes.top: got \[0, 0, 1\]; expected seven numbers'),
    ({'top': [0, 0, 0, 0, 0, 0, 2]}, r'the quaternion .* has norm 2; expected 1'),
    ({'top': [0, 0, 50, 0, 0, 0, 1]}, 'at most 2 m from the origin'),
    ({'to/p': FROM_ABOVE}, 'a name has letters, digits and underscores'),
    ({'gr\u00fcn': FROM_ABOVE}, 'a name has letters, digits and underscores'),
    ({7: FROM_ABOVE}, 'a name has letters, digits and underscores'),
    ({'top': ['x', 0, 0, 0, 0, 0, 1]}, 'subframes.top: got .* expected a number')])
def test_a_wrong_subframe_is_named(value, message):
    with pytest.raises(ConfigurationError, match=message):
        build(ObjectConfig, {**CUBE, 'subframes': value}, 'objects.0')
