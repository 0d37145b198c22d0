"""Many runs: composed, grouped into stacks, planned for the machine, trained, and summed up in one table."""
