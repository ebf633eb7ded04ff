//! Servers: listed, described, made, resolved and deleted (Nova).
