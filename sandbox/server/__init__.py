"""How the sandbox serves: routes and keys, quotas and faults, its clock, and the control endpoints."""
