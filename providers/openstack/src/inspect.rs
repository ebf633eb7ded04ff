//! What of a tenancy works and what does not, for `vcycle check --online`.
