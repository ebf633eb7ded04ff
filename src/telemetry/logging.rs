//! Where log lines go: the systemd journal, lines for people, or JSON. What is logged is set by
//! `RUST_LOG` (default `info`). Secrets are kept out where they are made, not here.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// The form of the log.
#[derive(Debug)]
pub enum LogTo {
    /// The journal, each field of its own.
    Journal,
    /// Standard error, a line each, for people.
    Plain,
    /// Standard error, a JSON object each.
    Json,
    /// This file, a line each, for people: where standard error is needed otherwise.
    File(std::fs::File),
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The journal does not take connections.
    #[error("cannot open the systemd journal; `--log plain` writes to standard error")]
    Journal(#[source] std::io::Error),
    /// `RUST_LOG` is not understood.
    #[error("RUST_LOG is not understood; an example: RUST_LOG=info,vcycle::plan=debug")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Set up twice.
    #[error("logging was set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

impl LogTo {
    /// The journal when standard error goes there (systemd tells by `JOURNAL_STREAM`), else plain.
    pub fn by_environment() -> Self {
        if std::env::var_os("JOURNAL_STREAM").is_some() && !std::io::stderr().is_terminal() {
            Self::Journal
        } else {
            Self::Plain
        }
    }
}

/// Sends the log there from now on, for the whole process.
pub fn set_up(to: LogTo) -> Result<(), LoggingError> {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(wanted)
        .map_err(LoggingError::Filter)?;
    Registry::default().with(layer(to)?.with_filter(filter)).try_init().map_err(LoggingError::Twice)
}

fn layer(to: LogTo) -> Result<Box<dyn Layer<Registry> + Send + Sync>, LoggingError> {
    Ok(match to {
        LogTo::Journal => Box::new(
            tracing_journald::layer()
                .map_err(LoggingError::Journal)?
                .with_syslog_identifier("vcycle".to_owned()),
        ),
        LogTo::Plain => {
            Box::new(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(
                std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            ))
        }
        LogTo::Json => {
            Box::new(tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr))
        }
        LogTo::File(file) => Box::new(
            tracing_subscriber::fmt::layer()
                .with_writer(std::sync::Mutex::new(file))
                .with_ansi(false),
        ),
    })
}
