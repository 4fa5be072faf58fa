"""``python -m dr_perception.ros.benchmark``."""

import sys

from dr_perception.ros.benchmark.command import main

if __name__ == '__main__':
    sys.exit(main())
