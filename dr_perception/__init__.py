"""Object poses from a robot's camera, by a model trained in simulation alone.

``PoseEstimator`` and ``PinholeCamera`` are loaded when first used: parts of this package run
before numpy and onnxruntime are installed.
"""

__version__ = '0.1.0'
__all__ = ['PinholeCamera', 'PoseEstimator', '__version__']


def __getattr__(name: str):
    if name == 'PinholeCamera':
        from dr_perception.core.camera import PinholeCamera
        return PinholeCamera
    if name == 'PoseEstimator':
        from dr_perception.inference.estimator import PoseEstimator
        return PoseEstimator
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
