"""Traces: every run, recorded in a file on this machine: see docs/traces.md.

Only `processor` imports the SDK, so that reading runs starts fast.
"""
