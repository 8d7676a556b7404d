"""What happened in every run, kept in a file on this machine: see docs/traces.md.

Only `processor` imports the SDK, so that reading runs starts fast.
"""
