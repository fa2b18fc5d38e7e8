"""Operations over simulated clouds: every pace, every fault, killed at every call. Slower than unit tests."""
