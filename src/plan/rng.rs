//! Seeded randomness, one stream for each machinetype, so that what one machinetype draws never
//! changes what another one gets.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::model::{IntentToken, MachineName, MachinetypeName};

use super::PlanInput;

/// The random numbers of one machinetype in one cycle.
pub(super) struct Stream {
    rng: ChaCha8Rng,
}

impl Stream {
    /// The key holds everything in which two cycles can differ, so that names and tokens differ
    /// even if a caller gave the same seed twice.
    pub(super) fn new(input: &PlanInput<'_>, machinetype: &MachinetypeName) -> Self {
        let place = fnv(&[input.deployment.as_str(), input.policy.space.as_str()]);
        let words = [
            input.seed,
            u64::from_ne_bytes(input.now.as_millis().to_ne_bytes()),
            input.generation.0,
            place,
        ];
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(fnv(&[machinetype.as_str()]));
        Self { rng }
    }

    /// A number for breaking a tie.
    pub(super) fn draw(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Name and intent of a new machine.
    pub(super) fn identity(&mut self, machinetype: &MachinetypeName) -> (MachineName, IntentToken) {
        let name = MachineName::compose(machinetype, self.rng.next_u64());
        let (high, low) = (self.rng.next_u64(), self.rng.next_u64());
        (name, IntentToken::compose(u128::from(high) << 64 | u128::from(low)))
    }
}

/// FNV-1a over texts, each ended by a zero byte: stable between versions and machines.
pub(super) fn fnv(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
