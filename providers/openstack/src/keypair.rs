//! Key pairs: one for each public key, named by its content.
