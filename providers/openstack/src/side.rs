//! Side resources of our deployment: ports and volumes together.
