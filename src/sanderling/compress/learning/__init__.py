"""One model learns from another: what they must share, and what is compared."""
