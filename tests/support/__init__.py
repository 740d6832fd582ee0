"""Real parts for tests: bundles on disk, servers on sockets, pictures in files."""
