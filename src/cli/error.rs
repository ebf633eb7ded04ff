//! How a command can fail, and with which exit code it ends.

use std::fmt::Display;
use std::process::ExitCode;

/// Why a command did not do what was asked. The text says what was attempted, what came back, and
/// what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The work failed: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// What was typed or configured is not right: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Problems of configuration or library, already laid out for people: exit code 2.
    #[error("{0}")]
    Problems(String),
    /// The reader of our output has gone away: not an error for the one who typed.
    #[error("output was closed")]
    OutputClosed,
}

impl CliError {
    /// A failure with its whole chain of causes.
    pub(crate) fn failed(what: impl Display, source: &dyn std::error::Error) -> Self {
        Self::Failed(format!("{what}: {}", chain(source)))
    }

    /// The exit code of `docs/CLI.md`.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) | Self::Problems(_) => ExitCode::from(2),
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

/// An error and its causes in one line; a cause that the text before already tells is left out.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the plan")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn the_chain_tells_every_cause_once() {
        let outer = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(chain(&outer), "cannot read the plan: disk on fire");
    }
}
