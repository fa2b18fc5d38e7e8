"""crashcart: incident runbooks as commands that are idempotent, retryable and safe."""
