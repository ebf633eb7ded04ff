//! Counts what each client uses, so that none can use everything: connections of an address,
//! uploads of a machine. A pass is given back when it is dropped, whatever happened in between.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is in use, by client.
#[derive(Debug)]
pub(super) struct Gate<K: Eq + Hash + Clone> {
    inner: Mutex<Inner<K>>,
    most: usize,
}

#[derive(Debug)]
struct Inner<K> {
    each: HashMap<K, u32>,
    total: usize,
}

/// Why there is no pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// This client has its share.
    Client,
    /// All together have everything.
    Total,
}

/// One unit in use; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Pass<K: Eq + Hash + Clone> {
    gate: Arc<Gate<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Gate<K> {
    /// At most `most` units for all clients together.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::new(Inner { each: HashMap::new(), total: 0 }), most })
    }

    /// One more unit for this client, of which it may have `limit`.
    pub(super) fn enter(self: &Arc<Self>, key: K, limit: u32) -> Result<Pass<K>, Full> {
        let mut inner = self.lock();
        if inner.each.get(&key).copied().unwrap_or(0) >= limit {
            return Err(Full::Client);
        }
        if inner.total >= self.most {
            return Err(Full::Total);
        }
        inner.total += 1;
        *inner.each.entry(key.clone()).or_insert(0) += 1;
        drop(inner);
        Ok(Pass { gate: Arc::clone(self), key })
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        // Every change below is complete before the lock is given back, so a panic elsewhere
        // cannot leave it half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Drop for Pass<K> {
    fn drop(&mut self) {
        let mut inner = self.gate.lock();
        inner.total = inner.total.saturating_sub(1);
        if let Some(count) = inner.each.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                inner.each.remove(&self.key);
            }
        }
    }
}

/// The client that an address stands for: itself, or for IPv6 its /64, of which a host usually has
/// all addresses.
pub(super) fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_at_its_limit_is_refused_and_others_are_not() {
        let gate = Gate::new(10);
        let first = gate.enter("a", 2).unwrap();
        let _second = gate.enter("a", 2).unwrap();
        assert_eq!(gate.enter("a", 2).unwrap_err(), Full::Client);
        let _other = gate.enter("b", 2).unwrap();
        drop(first);
        let _again = gate.enter("a", 2).unwrap();
    }

    #[test]
    fn the_total_holds_and_a_dropped_pass_leaves_nothing_behind() {
        let gate = Gate::new(2);
        let a = gate.enter("a", 9).unwrap();
        let b = gate.enter("b", 9).unwrap();
        assert_eq!(gate.enter("c", 9).unwrap_err(), Full::Total);
        drop((a, b));
        assert!(gate.lock().each.is_empty());
        assert_eq!(gate.lock().total, 0);
    }

    #[test]
    fn an_ipv6_host_is_one_client_with_all_its_addresses() {
        let client = |text: &str| client_of(text.parse().unwrap());
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }
}
