"""How targets are reached: the seam in ``base``, and SSH, the local machine and a fake behind it."""
