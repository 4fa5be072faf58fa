"""Places of shipped files as the nodes import them; they need no ROS and live in the core."""

from dr_perception.core.resources import find_resource, PACKAGE_NAME, resource_folders

__all__ = ['find_resource', 'PACKAGE_NAME', 'resource_folders']
