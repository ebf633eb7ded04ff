//! Images: found by name or id, uploaded, and removed when nobody uses them (Glance).
