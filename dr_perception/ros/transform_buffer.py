"""The TF buffer as the nodes import it; it needs no ROS and lives in the core."""

from dr_perception.core.transform_buffer import (HISTORY_S, interpolate, TransformBuffer,
                                                 TransformError, TransformPendingError)

__all__ = ['HISTORY_S', 'interpolate', 'TransformBuffer', 'TransformError',
           'TransformPendingError']
