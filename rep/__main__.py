"""`python -m rep`, installed as `ha-goto`."""

import sys

from rep.cli import main

if __name__ == "__main__":
    sys.exit(main())
