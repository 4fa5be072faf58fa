"""Names for instances as the nodes import them; they need no ROS and live in the core."""

from dr_perception.core.instance_names import InstanceNamer, LARGEST_STEP_M, MEMORY_S

__all__ = ['InstanceNamer', 'LARGEST_STEP_M', 'MEMORY_S']
