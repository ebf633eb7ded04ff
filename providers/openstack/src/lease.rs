//! Reservations of hosts for a time: leases of Blazar.
