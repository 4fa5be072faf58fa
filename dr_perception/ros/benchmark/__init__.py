"""`benchmark`: the README's performance table, of the estimator alone and of the node in ROS."""
