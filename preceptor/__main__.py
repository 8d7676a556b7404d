"""`python -m preceptor`: the command line."""

from preceptor.cli import main

main()
