"""Guards: each allows or refuses with a reason; one that cannot decide refuses."""
