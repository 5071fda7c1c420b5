"""`python -m tests.chaos --trials 220 --seed 1`: runs crash trials and prints a table at the end."""

import sys

from tests.chaos.campaign import main

if __name__ == "__main__":
    sys.exit(main())
