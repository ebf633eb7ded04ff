//! What limits a tenancy in time: a lease, a credential that expires.
