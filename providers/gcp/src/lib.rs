//! `gcp`: machines are instances of Compute Engine, in zones of one region of one project.
