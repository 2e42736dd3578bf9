"""The whole mission on virtual time, in one thread, with everything decided by one seed."""
