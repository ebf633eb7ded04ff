//! Why an image could not be made ready, and whether it is worth waiting for.

use crate::session::{Arrived, Failure};

/// Why an image could not be made ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Trouble {
    /// For people; holds no secrets.
    pub(crate) why: String,
    /// What to expect of trying again.
    pub(crate) lasts: Lasts,
}

/// What to expect of trying again. It is tried again in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// It goes by itself: a cloud or a server that does not answer.
    ForNow,
    /// Somebody has to do something: a file that is not there, a quota.
    UntilMended,
}

impl Trouble {
    /// What goes by itself.
    pub(crate) fn for_now(why: impl Into<String>) -> Self {
        Self { why: why.into(), lasts: Lasts::ForNow }
    }

    /// What somebody has to mend.
    pub(crate) fn until_mended(why: impl Into<String>) -> Self {
        Self { why: why.into(), lasts: Lasts::UntilMended }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let refused = matches!(failure.status, Some(400 | 403 | 405 | 413 | 415));
        let lasts = match failure.arrived {
            // A 413 with a time is too many requests, without one a quota for images.
            Arrived::Certainly if refused && failure.retry_after.is_none() => Lasts::UntilMended,
            Arrived::Certainly | Arrived::Never | Arrived::Perhaps => Lasts::ForNow,
        };
        Self { why: format!("{}: {}", failure.operation, failure.message), lasts }
    }
}
