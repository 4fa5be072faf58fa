"""The camera's intrinsics, as ``--camera`` gives them: numbers, or a file of camera_calibration.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError

_FORMS = ('expected fx,fy,cx,cy,width,height[,distortion...] in pixels, or the YAML file that '
          'ROS camera_calibration writes')


def read_camera(text: str) -> PinholeCamera:
    """The camera of ``fx,fy,cx,cy,w,h[,d...]`` or of a camera_calibration YAML file.

    Raises:
        CameraError: neither of both, or no camera.
    """
    path = Path(text)
    if path.is_file():
        try:
            return _from_yaml(path)
        except CameraError as error:
            raise CameraError(f'{path}: {error}') from error
    parts = text.split(',')
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        raise CameraError(f'--camera {text}: neither a file nor numbers; {_FORMS}') from None
    if len(numbers) < 6 or not all(n == int(n) for n in numbers[4:6] if abs(n) < 1e9):
        raise CameraError(f'--camera {text}: {len(numbers)} numbers; {_FORMS}')
    fx, fy, cx, cy, width, height, *distortion = numbers
    return PinholeCamera.from_matrix([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], int(width),
                                     int(height), distortion or None)


def _from_yaml(path: Path) -> PinholeCamera:
    try:
        data = yaml.safe_load(path.read_text(encoding='utf-8'))
        if not isinstance(data, Mapping):
            raise CameraError(f'holds no camera; {_FORMS}')
        coefficients = data.get('distortion_coefficients')
        matrix = [float(v) for v in data['camera_matrix']['data']]
        if len(matrix) != 9:
            raise CameraError(f'camera_matrix has {len(matrix)} numbers; expected 9')
        return PinholeCamera.from_matrix(
            [matrix[:3], matrix[3:6], matrix[6:]], _whole(data, 'image_width'),
            _whole(data, 'image_height'), coefficients and coefficients['data'],
            data.get('distortion_model'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CameraError(f'cannot be read ({" ".join(str(error).split())}); {_FORMS}') from error
    except KeyError as error:
        raise CameraError(f'the key {error} is missing; {_FORMS}') from error
    except (TypeError, AttributeError) as error:
        raise CameraError(f'is damaged ({error}); {_FORMS}') from error


def _whole(data: Mapping[str, Any], key: str) -> int:
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int):
        raise CameraError(f'{key} is {value!r}; expected a whole number of pixels')
    return value
