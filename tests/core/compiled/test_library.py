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

"""The library of compiled loops: what it takes, and when it is left out."""
import os
from pathlib import Path
import shutil
import subprocess
import sys
import zlib

import dr_perception
from dr_perception.core.compiled import library
import numpy as np
import pytest

needs_library = pytest.mark.usefixtures('compiled')


def test_the_switch(repository_root):
    script = 'from dr_perception.core.compiled import library; print(library.LIBRARY)'
    done = subprocess.run([sys.executable, '-c', script], cwd=repository_root, text=True,
                          env={**os.environ, library.SWITCH: '0'}, capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == ('None\n', '')


@needs_library
@pytest.mark.parametrize('is_stale', [False, True])
def test_a_checkout_takes_the_installed_one_of_the_same_sources(is_stale, tmp_path):
    """As under colcon: the tests run on the sources, the library is where they are installed."""
    inside = Path('dr_perception', 'core', 'compiled')
    source, installed = tmp_path / 'source', tmp_path / 'installed' / inside
    shutil.copytree(Path(dr_perception.__file__).parent, source / 'dr_perception',
                    ignore=shutil.ignore_patterns('*.so', '__pycache__'))
    installed.mkdir(parents=True)
    shutil.copy(library.LIBRARY._name, installed)
    if is_stale:
        (source / inside / 'edges.c').write_text('int newer;')
    done = subprocess.run(
        [sys.executable, '-c', 'from dr_perception.core.compiled import library; '
         'print(library.__file__, library.LIBRARY and library.LIBRARY._name)'], cwd=source,
        env={**os.environ, 'PYTHONPATH': str(tmp_path / 'installed')}, capture_output=True,
        text=True, timeout=60)
    module, used = done.stdout.split()
    assert Path(module).parent == source / inside, done.stderr
    if is_stale:
        assert used == 'None' and 'was compiled from other sources' in done.stderr
    else:
        assert Path(used).parent == installed and not done.stderr


@needs_library
def test_a_build_of_other_sources_is_not_used(monkeypatch, caplog):
    monkeypatch.setattr(library, 'sources_checksum', lambda folder: 1)
    assert library._opened(library.LIBRARY._name) is None
    assert ('was compiled from other sources; poses are solved with numpy, slower, until the '
            'package is installed again') in caplog.text


def test_the_checksum_is_that_of_the_c_files(tmp_path):
    (tmp_path / 'b.c').write_bytes(b'int b;')
    (tmp_path / 'a.h').write_bytes(b'int a;')
    (tmp_path / 'notes.txt').write_bytes(b'no source')
    (tmp_path / '.#b.c').symlink_to('an editor that is open')
    assert library.sources_checksum(tmp_path) == zlib.crc32(b'int a;int b;')


def test_a_damaged_build_is_not_used(tmp_path, caplog):
    path = tmp_path / '_kernels.abi3.so'
    path.write_bytes(b'nothing that could be loaded')
    assert library._opened(str(path)) is None
    assert '_kernels.abi3.so cannot be loaded (' in caplog.text
    assert 'poses are solved with numpy' in caplog.text


@needs_library
def test_a_build_that_lacks_a_function_is_not_used(monkeypatch, caplog):
    monkeypatch.setitem(library._FUNCTIONS, 'dr_of_tomorrow', 'i D!')
    assert library._opened(library.LIBRARY._name) is None
    assert 'cannot be loaded' in caplog.text and 'dr_of_tomorrow' in caplog.text


@needs_library
def test_what_would_be_lost_is_refused():
    outputs = [np.empty((1, 3)), np.empty((1, 2))]
    inputs = [np.zeros((1, 3)), np.ones((1, 3)), np.ones(1, bool), np.eye(4)[None]]
    library.run('dr_edge_normals', 1, 1, *inputs, 600.0, 600.0, *outputs)
    outputs[1] = outputs[1].astype(np.float32)
    with pytest.raises(TypeError, match='dr_edge_normals: it would write into a copy, or into'):
        library.run('dr_edge_normals', 1, 1, *inputs, 600.0, 600.0, *outputs)
    outputs[1] = np.empty((1, 2))
    outputs[1].setflags(write=False)
    with pytest.raises(TypeError, match='dr_edge_normals: it would write into a copy, or into'):
        library.run('dr_edge_normals', 1, 1, *inputs, 600.0, 600.0, *outputs)


@needs_library
def test_arrays_of_other_types_and_orders_are_converted():
    inputs = [np.array([[1, 2, 3]]), np.asfortranarray(np.eye(3)[:1]), np.array([1]),
              np.broadcast_to(np.eye(4, dtype=np.float32), (1, 4, 4))]
    points, normals = np.empty((1, 3)), np.empty((1, 2))
    library.run('dr_edge_normals', 1, 1, *inputs, 600.0, 600.0, points, normals)
    assert np.array_equal(points, [[1, 2, 3]]) and np.allclose(normals, [[0, 1]])
