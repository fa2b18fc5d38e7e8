"""The lab's AWS: moto's HTTP server as a child process, with a layer that behaves, and faults in front of it.

Only ``server.py`` and what it alone imports need moto; ``emulator.py`` and ``faults.py`` do without.
"""
