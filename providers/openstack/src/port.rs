//! Ports of ours: marked while their server lives, listed and removed when it is gone.
