"""Quality of service of the results: nothing is lost, and a late reader gets the newest few."""

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

RESULTS_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE)
TF_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE)
