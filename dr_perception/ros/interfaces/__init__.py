"""
Message packages that PyPI lacks, generated into the environment that runs this.

`python -m dr_perception.ros.interfaces` writes tf2_msgs, vision_msgs and what the MoveIt output
needs beside the ROS wheels. A second run only verifies. Where ROS 2 is installed from apt the
packages are there already and nothing is written.
"""
