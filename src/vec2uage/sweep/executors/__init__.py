"""Who trains the jobs of a sweep: this process, others on this machine, or a cluster; named by `hydra/launcher=`.

Other processes get chunks of a sweep: fused groups, not single runs. Results travel through the run folders, where also
the checkpoints lie that a chunk which is handed out once more goes on from. No executor changes a number.
"""
