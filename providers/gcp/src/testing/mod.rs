//! An in-process Compute Engine for tests.
