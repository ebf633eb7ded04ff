//! The request budget of a space.
