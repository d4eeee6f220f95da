"""``python -m sanderling`` is the command line."""

from sanderling.cli import main

main()
