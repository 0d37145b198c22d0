"""Many runs: composed, grouped into stacks, planned for the machine, trained, and summed up in one table.

`session` tells the story of a sweep, `single_run` that of one run; `engine` trains their jobs.
"""
