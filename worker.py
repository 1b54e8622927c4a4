"""The worker pool: `python worker.py [--burst] [-n N]`."""

import sys

from portal.pool import main

if __name__ == "__main__":
    sys.exit(main())
