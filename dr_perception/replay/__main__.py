"""``python -m dr_perception.replay BAG --output DIR``."""

import sys

from dr_perception.replay.command import main

if __name__ == '__main__':
    sys.exit(main())
