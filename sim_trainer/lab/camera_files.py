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

"""A camera's calibration from what people have: CameraInfo, calibration files, plain numbers.

Read are: sensor_msgs/CameraInfo as YAML (``ros2 topic echo --once TOPIC > camera.yaml``), the YAML
of ROS camera_calibration (``ost.yaml``), OpenCV's FileStorage YAML, and
``fx,fy,cx,cy,width,height``, with the coefficients of plumb_bob behind them if there are any.

Convention:
    All of them count pixels from the centre of the top left one, as this project does. K belongs
    to the full resolution; binning and region of interest of a CameraInfo are applied.
"""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError, PerceptionError
import numpy as np
from sim_trainer.errors import ConfigurationError
import yaml

#: A calibration is a few kilobytes.
MAX_FILE_BYTES = 1 << 20
FORMATS = ('a CameraInfo (ros2 topic echo --once /camera/camera_info > camera.yaml), the ost.yaml '
           'of camera_calibration, an OpenCV FileStorage YAML, or numbers: '
           'fx,fy,cx,cy,width,height')
#: Names under which OpenCV programs write the same thing, in small letters without underscores.
_K = ('cameramatrix', 'k', 'm', 'm1', 'intrinsicmatrix', 'intrinsics')
_D = ('distortioncoefficients', 'distcoeffs', 'd', 'd1', 'distortion', 'distortioncoeffs')
_WIDTH, _HEIGHT, _SIZE = ('imagewidth', 'width'), ('imageheight', 'height'), ('imagesize', 'size')
#: Other names of the distortion models.
_MODELS = {'fisheye': 'equidistant', 'kannala_brandt4': 'equidistant', 'radtan': 'plumb_bob',
           'brown_conrady': 'plumb_bob', 'pinhole': 'plumb_bob'}


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads OpenCV's matrices as mappings."""


def _opencv_matrix(loader: _Loader, node: yaml.Node) -> Any:
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor('tag:yaml.org,2002:opencv-matrix', _opencv_matrix)


def read_camera(source: str, rectified: bool = False) -> PinholeCamera:
    """Return the camera that a file or a list of numbers describes.

    Args:
        source: path of a YAML file, or ``fx,fy,cx,cy,width,height[,k1,k2,p1,p2[,k3]]``.
        rectified: pictures are rectified (image_rect), so P holds and there is no distortion.

    Raises:
        ConfigurationError: not a calibration, with what is missing and what can be read.
        CameraError: a calibration that no camera has.
    """
    if re.fullmatch(r'[\d\s,.eE+-]+', source) and ',' in source:
        camera = _from_numbers(source)
        if rectified and camera.distortion_model != 'none':
            raise ConfigurationError('--rectified: rectified pictures have no distortion; leave '
                                     'the coefficients out, and give fx, fy, cx, cy of P')
        return camera
    path = Path(source)
    data = _load(path)
    try:
        return camera_from_mapping(data, rectified)
    except PerceptionError as error:
        raise type(error)(f'{path}: {error}') from error


def camera_keys(camera: PinholeCamera) -> dict[str, Any]:
    """Return the keys of ``CameraConfig`` that a camera decides, plain values."""
    keys: dict[str, Any] = {'width_px': camera.width_px, 'height_px': camera.height_px,
                            'fx_px': camera.fx_px, 'fy_px': camera.fy_px,
                            'cx_px': camera.cx_px, 'cy_px': camera.cy_px}
    if camera.distortion_model != 'none':
        keys['distortion_model'] = camera.distortion_model
        keys['distortion'] = list(camera.distortion)
    return keys


def camera_from_mapping(data: dict[str, Any], rectified: bool = False) -> PinholeCamera:
    """Return the camera of a parsed calibration.

    Raises:
        ConfigurationError, CameraError: what is missing or wrong, in one line.
    """
    keys = _plain_keys(data)
    width_px, height_px = _size(keys)
    matrix = _numbers(_first(keys, _K), 'the camera matrix')
    if matrix.size != 9:
        raise ConfigurationError(f'the camera matrix has {matrix.size} numbers; expected 9 (K of '
                                 'a CameraInfo, camera_matrix of a calibration file)')
    if rectified:
        return _rescaled(_rectified(keys, width_px, height_px), keys)
    given = _first(keys, _D, needed=False)
    coefficients = np.zeros(0) if given is None else _numbers(given, 'the distortion')
    model = keys.get('distortionmodel') or None
    model = _MODELS.get(str(model).lower(), str(model).lower()) if model else None
    if model is None and _is_true(keys.get('fisheyemodel')):     # OpenCV's calibration sample
        model = 'equidistant'
    camera = PinholeCamera.from_matrix(matrix.reshape(3, 3), width_px, height_px, coefficients,
                                       model)
    return _rescaled(camera, keys)


def _from_numbers(source: str) -> PinholeCamera:
    try:
        values = [float(part) for part in source.split(',') if part.strip()]
    except ValueError:
        values = []
    if len(values) not in (6, 10, 11):
        raise ConfigurationError(
            f'camera {source!r}: {len(values)} numbers; expected fx,fy,cx,cy,width,height in '
            'pixels, such as 615,615,319.5,239.5,640,480 (and k1,k2,p1,p2,k3 of plumb_bob)')
    fx, fy, cx, cy, width, height = values[:6]
    if width != int(width) or height != int(height):
        raise ConfigurationError(f'camera {source!r}: the size is {width:g}x{height:g} px; '
                                 'expected whole numbers: fx,fy,cx,cy,width,height')
    try:
        return PinholeCamera.from_matrix(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
                                         int(width), int(height), np.array(values[6:]))
    except CameraError as error:
        raise CameraError(f'camera {source!r}: {error}; the order is '
                          'fx,fy,cx,cy,width,height') from error


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigurationError(f'{path}: there is no such camera file; give {FORMATS}')
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ConfigurationError(f'{path}: {path.stat().st_size} bytes; a camera file has at most '
                                 f'{MAX_FILE_BYTES}; give {FORMATS}')
    try:
        data = parse(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f'{path}: not valid YAML ({" ".join(str(error).split())[:150]}); '
                                 f'give {FORMATS}') from error
    if not isinstance(data, dict):
        raise ConfigurationError(f'{path}: holds a {type(data).__name__}, no calibration; give '
                                 f'{FORMATS}')
    return data


def parse(text: str) -> Any:
    """Return the first document of a YAML text; OpenCV's dialect is understood."""
    # OpenCV writes %YAML:1.0, which is not YAML; ros2 topic echo ends messages with ---.
    text = re.sub(r'\A\s*%YAML.*\n', '', text)
    return next((data for data in yaml.load_all(text, Loader=_Loader) if data is not None), None)


def _size(keys: dict[str, Any]) -> tuple[int, int]:
    both = _first(keys, _SIZE, needed=False)
    pair = (both if both is not None else
            [_first(keys, _WIDTH, needed=False), _first(keys, _HEIGHT, needed=False)])
    if isinstance(pair, dict):      # in any order: YAML writers sort
        named = _plain_keys(pair)
        pair = [_first(named, _WIDTH, needed=False), _first(named, _HEIGHT, needed=False)]
    if not isinstance(pair, (list, tuple)) or len(pair) != 2 or None in pair:
        raise ConfigurationError("the picture's size is missing; write image_width and "
                                 'image_height (width and height of a CameraInfo), pixels')
    width_px, height_px = _numbers(pair, 'the size of the picture')
    if width_px < 1 or height_px < 1:
        raise CameraError(f'the size of the picture is {width_px:g}x{height_px:g} px: the camera '
                          'driver has no calibration; calibrate it first')
    return int(width_px), int(height_px)


def _plain_keys(data: dict[str, Any]) -> dict[str, Any]:
    """Keys in small letters without underscores: programs write the same thing differently."""
    return {re.sub('[^a-z0-9]', '', str(key).lower()): value for key, value in data.items()}


def _is_true(value: Any) -> bool:
    return str(value).strip().lower() in ('1', 'true')


def _first(keys: dict[str, Any], names: tuple[str, ...], needed: bool = True) -> Any:
    for name in names:
        if keys.get(name) is not None:
            return keys[name]
    if needed:
        raise ConfigurationError(f'there is no camera matrix in it (keys: '
                                 f'{", ".join(list(keys)[:8])}); give {FORMATS}')
    return None


def _numbers(value: Any, name: str) -> np.ndarray:
    """Numbers of a list, a matrix {rows, cols, data} or rows of a matrix, as (N,)."""
    if isinstance(value, dict):
        value = value.get('data')
    try:
        flat = np.array([float(str(v).lower().replace('.nan', 'nan').replace('.inf', 'inf'))
                         for v in _flatten(value)])
    except (TypeError, ValueError):
        raise ConfigurationError(f'{name} is {str(value)[:60]!r}; expected a list of numbers'
                                 ) from None
    if not np.isfinite(flat).all():
        raise CameraError(f'{name} holds NaN or infinity; calibrate the camera again')
    return flat


def _flatten(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [item for part in value for item in _flatten(part)]
    return [value]


def _rectified(keys: dict[str, Any], width_px: int, height_px: int) -> PinholeCamera:
    given = keys.get('p', keys.get('projectionmatrix'))
    if given is None:
        raise ConfigurationError('--rectified needs P (projection_matrix), which is missing; give '
                                 'a CameraInfo or ost.yaml, or leave --rectified out')
    P = _numbers(given, 'P')
    if P.size != 12:
        raise ConfigurationError(f'P has {P.size} numbers; expected 12')
    P = P.reshape(3, 4)
    if np.abs(P[:2, 3]).max() > 1e-6 * max(abs(P[0, 0]), 1.0):
        raise CameraError(f'P has the offset {P[0, 3]:g}, {P[1, 3]:g}: it belongs to the second '
                          'camera of a stereo pair; give the first (left) camera')
    return PinholeCamera.from_matrix(P[:, :3], width_px, height_px)


def _rescaled(camera: PinholeCamera, keys: dict[str, Any]) -> PinholeCamera:
    """Return the camera of the pictures that come: region of interest, then binning (REP 104)."""
    roi = keys.get('roi') or {}
    if isinstance(roi, dict) and roi.get('width') and roi.get('height'):
        camera = camera.cropped(int(roi.get('x_offset', 0)), int(roi.get('y_offset', 0)),
                                int(roi['width']), int(roi['height']))
    x, y = (max(int(keys.get(name) or 1), 1) for name in ('binningx', 'binningy'))
    if (x, y) == (1, 1):
        return camera
    width_px, height_px = camera.width_px // x, camera.height_px // y
    return camera.cropped(0, 0, width_px * x, height_px * y).resized(width_px, height_px)
