"""``python -m dr_perception.ros.doctor``."""

import sys

from dr_perception.ros.doctor.command import main

if __name__ == '__main__':
    sys.exit(main())
