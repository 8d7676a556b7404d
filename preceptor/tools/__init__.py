"""The tools that tutors may call, all of them plug-ins. How to write one: docs/tools.md."""
