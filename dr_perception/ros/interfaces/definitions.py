"""
Fields of the message types that Jazzy has and PyPI lacks.

Field names, types and their order are facts of the public interface; two processes understand
each other only when these are equal. The type hash (REP 2016) is computed from exactly these facts
and from those of every nested type, so one equal hash proves a whole tree of definitions.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class InterfacePackage:
    """
    One message package.

    Attributes:
        name: ROS package name.
        version: version of the upstream release the fields were compared with.
        depends: packages whose types are nested, directly or deeper.
        messages: type name -> field list in the .msg notation.
        needed: whether the node cannot do without it; otherwise an optional output uses it.
    """

    name: str
    version: str
    depends: tuple
    messages: dict
    needed: bool


_OBJECT_RECOGNITION = InterfacePackage('object_recognition_msgs', '2.0.0', (), {
    'ObjectType': 'string key\nstring db',
}, needed=False)

_TF2 = InterfacePackage('tf2_msgs', '0.36.0', ('std_msgs', 'geometry_msgs'), {
    'TFMessage': 'geometry_msgs/TransformStamped[] transforms',
}, needed=True)

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
    ('std_msgs', 'geometry_msgs', 'shape_msgs', 'object_recognition_msgs'),
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
    }, needed=False)

# In the order of their dependencies.
PACKAGES = (_OBJECT_RECOGNITION, _TF2, _VISION, _MOVEIT)

# Upstream's hashes, read from the released packages.
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
}
