"""The node `planning_scene`: detections to the collision objects of MoveIt's planning scene."""
