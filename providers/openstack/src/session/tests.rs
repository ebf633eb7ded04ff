//! Sessions against a tiny cloud in this process, and the error table over real bodies.
