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

"""Fields of the message types that Jazzy has and PyPI lacks.

Field names, types and their order are facts of the public interface; two processes understand
each other only when these are equal. The type hash (REP 2016) is computed from exactly these facts
and from those of every nested type, so one equal hash proves a whole tree of definitions.
"""
from dataclasses import dataclass, field


@dataclass(frozen=True)
class InterfacePackage:
    """One message package.

    Attributes:
        name: ROS package name.
        version: version of the upstream release the fields were compared with.
        depends: packages whose types are nested, directly or deeper.
        messages: type name -> field list in the .msg notation.
        needed: whether the node cannot do without it; otherwise an optional output uses it.
        services: type name -> request and response in the .srv notation.
        actions: type name -> goal, result and feedback in the .action notation.
    """

    name: str
    version: str
    depends: tuple
    messages: dict
    needed: bool
    services: dict = field(default_factory=dict)
    actions: dict = field(default_factory=dict)

    def interfaces(self):
        """Return (kind, type name, fields) of everything; the kind is msg, srv or action."""
        kinds = {'msg': self.messages, 'srv': self.services, 'action': self.actions}
        return [(kind, name, fields) for kind, types in kinds.items()
                for name, fields in types.items()]


# What every service and every action nests without naming it.
_OF_SERVICES = ('builtin_interfaces', 'service_msgs')
_OF_ACTIONS = (*_OF_SERVICES, 'unique_identifier_msgs', 'action_msgs')


_OBJECT_RECOGNITION = InterfacePackage('object_recognition_msgs', '2.0.0', (), {
    'ObjectType': 'string key\nstring db',
}, needed=False)

_OCTOMAP = InterfacePackage('octomap_msgs', '2.0.0', ('std_msgs', 'geometry_msgs'), {
    'Octomap': """
        std_msgs/Header header
        bool binary
        string id
        float64 resolution
        int8[] data
    """,
    'OctomapWithPose': """
        std_msgs/Header header
        geometry_msgs/Pose origin
        octomap_msgs/Octomap octomap
    """,
}, needed=False)

_TF2 = InterfacePackage(
    'tf2_msgs', '0.36.0', (*_OF_ACTIONS, 'std_msgs', 'geometry_msgs'),
    {
        'TFMessage': 'geometry_msgs/TransformStamped[] transforms',
        'TF2Error': """
            uint8 NO_ERROR = 0
            uint8 LOOKUP_ERROR = 1
            uint8 CONNECTIVITY_ERROR = 2
            uint8 EXTRAPOLATION_ERROR = 3
            uint8 INVALID_ARGUMENT_ERROR = 4
            uint8 TIMEOUT_ERROR = 5
            uint8 TRANSFORM_ERROR = 6
            uint8 error
            string error_string
        """,
    }, needed=True,
    actions={
        'LookupTransform': """
            string target_frame
            string source_frame
            builtin_interfaces/Time source_time
            builtin_interfaces/Duration timeout
            builtin_interfaces/Time target_time
            string fixed_frame
            bool advanced
            ---
            geometry_msgs/TransformStamped transform
            tf2_msgs/TF2Error error
            ---
        """,
    })

_VISION = InterfacePackage('vision_msgs', '4.1.1', ('std_msgs', 'geometry_msgs'), {
    'Point2D': 'float64 x\nfloat64 y',
    'Pose2D': 'Point2D position\nfloat64 theta',
    'BoundingBox2D': 'Pose2D center\nfloat64 size_x\nfloat64 size_y',
    'BoundingBox2DArray': 'std_msgs/Header header\nBoundingBox2D[] boxes',
    'BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size',
    'BoundingBox3DArray': 'std_msgs/Header header\nBoundingBox3D[] boxes',
    'ObjectHypothesis': 'string class_id\nfloat64 score',
    'ObjectHypothesisWithPose': """
        ObjectHypothesis hypothesis
        geometry_msgs/PoseWithCovariance pose
    """,
    'Classification': 'std_msgs/Header header\nObjectHypothesis[] results',
    'Detection2D': """
        std_msgs/Header header
        ObjectHypothesisWithPose[] results
        BoundingBox2D bbox
        string id
    """,
    'Detection2DArray': 'std_msgs/Header header\nDetection2D[] detections',
    'Detection3D': """
        std_msgs/Header header
        ObjectHypothesisWithPose[] results
        BoundingBox3D bbox
        string id
    """,
    'Detection3DArray': 'std_msgs/Header header\nDetection3D[] detections',
    'VisionClass': 'uint16 class_id\nstring class_name',
    'LabelInfo': 'std_msgs/Header header\nVisionClass[] class_map\nfloat32 threshold',
    'VisionInfo': """
        std_msgs/Header header
        string method
        string database_location
        int32 database_version
    """,
}, needed=True)

_MOVEIT = InterfacePackage(
    'moveit_msgs', '2.6.0',
    (*_OF_SERVICES, 'std_msgs', 'geometry_msgs', 'sensor_msgs', 'shape_msgs', 'trajectory_msgs',
     'object_recognition_msgs', 'octomap_msgs'),
    {
        'CollisionObject': """
            byte ADD=0
            byte REMOVE=1
            byte APPEND=2
            byte MOVE=3
            std_msgs/Header header
            geometry_msgs/Pose pose
            string id
            object_recognition_msgs/ObjectType type
            shape_msgs/SolidPrimitive[] primitives
            geometry_msgs/Pose[] primitive_poses
            shape_msgs/Mesh[] meshes
            geometry_msgs/Pose[] mesh_poses
            shape_msgs/Plane[] planes
            geometry_msgs/Pose[] plane_poses
            string[] subframe_names
            geometry_msgs/Pose[] subframe_poses
            byte operation
        """,
        'AttachedCollisionObject': """
            string link_name
            CollisionObject object
            string[] touch_links
            trajectory_msgs/JointTrajectory detach_posture
            float64 weight
        """,
        'RobotState': """
            sensor_msgs/JointState joint_state
            sensor_msgs/MultiDOFJointState multi_dof_joint_state
            AttachedCollisionObject[] attached_collision_objects
            bool is_diff
        """,
        'AllowedCollisionEntry': 'bool[] enabled',
        'AllowedCollisionMatrix': """
            string[] entry_names
            AllowedCollisionEntry[] entry_values
            string[] default_entry_names
            bool[] default_entry_values
        """,
        'LinkPadding': 'string link_name\nfloat64 padding',
        'LinkScale': 'string link_name\nfloat64 scale',
        'ObjectColor': 'string id\nstd_msgs/ColorRGBA color',
        'PlanningSceneWorld': """
            CollisionObject[] collision_objects
            octomap_msgs/OctomapWithPose octomap
        """,
        'PlanningScene': """
            string name
            RobotState robot_state
            string robot_model_name
            geometry_msgs/TransformStamped[] fixed_frame_transforms
            AllowedCollisionMatrix allowed_collision_matrix
            LinkPadding[] link_padding
            LinkScale[] link_scale
            ObjectColor[] object_colors
            PlanningSceneWorld world
            bool is_diff
        """,
    }, needed=False,
    services={'ApplyPlanningScene': 'PlanningScene scene\n---\nbool success'})

# In the order of their dependencies.
PACKAGES = (_OBJECT_RECOGNITION, _OCTOMAP, _TF2, _VISION, _MOVEIT)

# Upstream's hashes: read from the released packages, or for those after CollisionObject made by
# rosidl from upstream's own files (moveit_msgs 2.6.0, geometry2 jazzy, octomap_msgs 2.0.0).
TYPE_HASHES = {
    'tf2_msgs/msg/TFMessage':
        'RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087',
    'vision_msgs/msg/Detection3DArray':
        'RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018',
    'vision_msgs/msg/Detection2DArray':
        'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
    'object_recognition_msgs/msg/ObjectType':
        'RIHS01_5eb3ee3976403366d7c50d7dbee8bec96b3bced1e752674a7194a35841632134',
    'moveit_msgs/msg/CollisionObject':
        'RIHS01_74b0acd6d56be032bf4f764b2c2633f50588b5fb2bd71e97206c59052747cf7e',
    'moveit_msgs/msg/AttachedCollisionObject':
        'RIHS01_7fdfe7951a33a857f20fc42c9ed410a38d06dd0c209ac774ecea746dc487dc41',
    'moveit_msgs/msg/PlanningScene':
        'RIHS01_0f58540ad5eab4b9ea827d53b763c793d8cabd202b3b301fcee25afa4ce1bd80',
    'moveit_msgs/srv/ApplyPlanningScene':
        'RIHS01_8e6134783db0987c0acedbfd2f16f608a8f7a54e83a7bbb372e851af419f4d72',
    'octomap_msgs/msg/OctomapWithPose':
        'RIHS01_e65f8760aa96a2acef86b6d206175cfc78420082b6159dd3fa6ebf93f5f81979',
    'tf2_msgs/action/LookupTransform':
        'RIHS01_0b8adf6bc0b5958879e3265b41a457e03558fe523890a81252c70eba97a82c5d',
}
