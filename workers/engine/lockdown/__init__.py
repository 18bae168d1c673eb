"""The layers of the jail: Landlock, seccomp and the system calls behind them."""
