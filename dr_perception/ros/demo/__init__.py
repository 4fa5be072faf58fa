"""Nodes that show and measure the pose estimator without a camera."""
