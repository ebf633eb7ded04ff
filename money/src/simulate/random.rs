//! Chance by seed: the same on every machine and in every version.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): one 64-bit state, a
/// different stream for each seed. Good enough for lives of machines; not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// A stream of its own for each name and number.
    pub(super) fn new(seed: u64, name: &str, number: u64) -> Self {
        let mut stream = Self(seed);
        for word in name.bytes().map(u64::from).chain([number]) {
            stream = Self(stream.next() ^ word);
        }
        stream
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn bits(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    /// From 0 to 1, without 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// So many times in a thousand.
    pub(super) fn happens(&mut self, permille: u16) -> bool {
        self.unit() * 1000.0 < f64::from(permille)
    }

    /// From one number to another.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Of the exponential distribution with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// A time of the exponential distribution, a minute at least.
    pub(super) fn wait(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(self.exponential()).max(Duration::from_secs(60))
    }
}
