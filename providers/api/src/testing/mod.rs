//! The conformance suite: what every provider, and every test double of a cloud, must do.
//!
//! Whoever is tested implements [`Subject`] and [`Tenancy`] (about a hundred lines) and calls
//! [`run`]. `docs/PROVIDERS.md` has the walk-through. The suite knows no provider: what only some
//! of them can be made to do (lose a reply, run out of stock) is asked for as a [`Fault`], and a
//! case whose fault cannot be had says that it was skipped, and why.

mod bench;
mod cases;
mod forward;
mod harness;
#[cfg(feature = "testing-http")]
pub mod http;
mod report;
pub mod scale;

pub use bench::{Bench, Halt, Outcome};
pub use cases::{Case, all_cases};
pub use forward::{Call, Counted, Forward, Line};
pub use harness::{CannotInject, Fault, Faults, Limits, Skew, Subject, Template, Tenancy};
pub use report::{CaseReport, Report, Verdict};

/// Runs every case against the subject, each in a fresh tenancy, one after the other.
///
/// # Panics
/// When a case failed, with a list of all failures that a person can read.
pub async fn run(subject: &dyn Subject) -> Report {
    run_cases(subject, &all_cases()).await
}

/// As [`run`], for some of the cases.
///
/// # Panics
/// As [`run`].
pub async fn run_cases(subject: &dyn Subject, cases: &[Case]) -> Report {
    let report = try_cases(subject, cases).await;
    println!("{report}");
    assert!(report.failures().next().is_none(), "the provider breaks its contract\n{report}");
    report
}

/// As [`run_cases`] without the panic: for tests of the suite itself.
pub async fn try_cases(subject: &dyn Subject, cases: &[Case]) -> Report {
    let mut report = Report::new(subject.name());
    for case in cases {
        let tenancy = subject.open().await;
        let bench = Bench::new(tenancy);
        let limit = bench.limits().case_time;
        let outcome = match tokio::time::timeout(limit, case.run(&bench)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Halt::Failed(format!("did not end within {limit:?}"))),
        };
        bench.close().await;
        report.add(case, outcome);
    }
    report
}
