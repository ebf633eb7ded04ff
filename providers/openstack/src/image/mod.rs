//! Images: found by name or id, uploaded, and removed when nobody uses them (Glance).

mod format;
mod glance;
mod reference;
