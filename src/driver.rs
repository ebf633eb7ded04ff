//! When cycles run. To come.
