//! Asks before something is changed. Decides nothing itself: `--yes`, or the answer of a person
//! at a terminal; refused without both.

use std::io::{BufRead, IsTerminal, Write};

use super::error::CliError;

/// Consent of a person to one change. Only this file makes it, so that no changing command can
/// forget to ask.
#[derive(Debug)]
pub(crate) struct Consent(());

/// Says what will be done, and gets consent for it.
pub(crate) fn ask(what: &str, yes: YesFlag) -> Result<Consent, CliError> {
    let mut stderr = anstream::stderr().lock();
    let say = |error| CliError::failed("cannot write to standard error", &error);
    writeln!(stderr, "{what}").map_err(say)?;
    match yes {
        YesFlag::Given => Ok(Consent(())),
        YesFlag::NotGiven if std::io::stdin().is_terminal() => {
            write!(stderr, "Do it? [y/N] ").and_then(|()| stderr.flush()).map_err(say)?;
            let mut answer = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut answer)
                .map_err(|error| CliError::failed("cannot read the answer", &error))?;
            agreed(&answer)
        }
        YesFlag::NotGiven => Err(CliError::Usage(
            "nothing was changed: standard input is not a terminal, so --yes is needed".to_owned(),
        )),
    }
}

fn agreed(answer: &str) -> Result<Consent, CliError> {
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(Consent(())),
        _ => Err(CliError::Failed("nothing was changed: not agreed to".to_owned())),
    }
}

/// Whether `--yes` was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum YesFlag {
    /// It was.
    Given,
    /// It was not.
    NotGiven,
}

impl From<&super::ChangeArgs> for YesFlag {
    fn from(args: &super::ChangeArgs) -> Self {
        if args.yes { Self::Given } else { Self::NotGiven }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, agrees) in [
            ("y\n", true),
            ("YES\n", true),
            ("\n", false),
            ("n\n", false),
            ("yep\n", false),
            ("", false),
        ] {
            assert_eq!(agreed(answer).is_ok(), agrees, "{answer:?}");
        }
    }
}
