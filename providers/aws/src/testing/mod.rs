//! The in-process cloud that the tests of this crate and of `vcycle` run against.
