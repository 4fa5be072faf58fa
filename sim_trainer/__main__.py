"""``python -m sim_trainer``."""

import sys

from sim_trainer.cli import main

# The guard matters: drawing workers are spawned and import the main module again.
if __name__ == '__main__':
    sys.exit(main())
