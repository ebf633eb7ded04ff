//! What the tests of cycle and crash share: a world in memory with its own time (cloud, state directory,
//! clock), managers that live in it and can die at any operation, and the laws that must always hold.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod acquire;
pub mod laws;
pub mod money;
pub mod mortal;
pub mod site;
pub mod world;

/// Runs a test on a single thread with paused time.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be built")
        .block_on(test)
}
