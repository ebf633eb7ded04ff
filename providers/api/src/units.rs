//! Quantities with their units, so that no bare integer crosses a module.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

macro_rules! count_type {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The sum, saturating.
            #[must_use]
            pub fn plus(self, other: Self) -> Self { Self(self.0.saturating_add(other.0)) }
            /// The difference, not below zero.
            #[must_use]
            pub fn minus(self, other: Self) -> Self { Self(self.0.saturating_sub(other.0)) }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(iter: I) -> Self { iter.fold(Self(0), Self::plus) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }
    };
}

count_type!(
    /// Processors (virtual CPUs) as the cloud counts them.
    Processors(u32)
);
count_type!(
    /// Memory or disk in megabytes of 1,048,576 bytes.
    Megabytes(u64)
);

/// Computing power in HEP-SPEC06 units.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hs06(pub f64);

/// A target share: a finite weight, zero or more. Only ratios between shares matter.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize)]
#[serde(transparent)]
pub struct Share(f64);

impl Share {
    /// `None` for a negative, infinite or undefined weight.
    pub fn new(weight: f64) -> Option<Self> {
        (weight.is_finite() && weight >= 0.0).then_some(Self(weight))
    }

    /// The weight.
    pub fn weight(self) -> f64 {
        self.0
    }
}
