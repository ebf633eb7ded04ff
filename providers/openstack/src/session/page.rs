//! Collections that come in pages.

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<T> {
    /// Its items.
    pub(crate) items: Vec<T>,
    /// Marker of the next page ([`super::Call::after`]); `None`: this was the last.
    pub(crate) next: Option<String>,
}
