//! An OpenStack in this process, for tests.
