//! Picks up changes of configuration and library. To come.
