"""Recorded data: poses, an annotated video and a report from a rosbag2 file, without ROS."""
