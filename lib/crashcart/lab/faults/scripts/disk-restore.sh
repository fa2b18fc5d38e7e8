sweep
steady
