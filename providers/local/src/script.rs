//! The first line of a script. Pure.

/// What `#!` names: an interpreter and at most one argument, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shebang<'a> {
    pub(crate) interpreter: &'a str,
    pub(crate) argument: Option<&'a str>,
}

/// Why a text is not a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAScript {
    #[error(
        "user_data must be a script for the local provider: its first line must begin with `#!` \
         and a path, such as `#!/bin/sh`"
    )]
    NoShebang,
    #[error("the interpreter after `#!` must be an absolute path, such as `#!/bin/sh`")]
    NotAbsolute,
}

impl<'a> Shebang<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, NotAScript> {
        let line = text.lines().next().and_then(|line| line.strip_prefix("#!"));
        let line = line.ok_or(NotAScript::NoShebang)?.trim();
        let (interpreter, argument) = match line.split_once([' ', '\t']) {
            Some((interpreter, argument)) => (interpreter, Some(argument.trim())),
            None => (line, None),
        };
        match interpreter {
            "" => Err(NotAScript::NoShebang),
            path if path.starts_with('/') => Ok(Self { interpreter, argument }),
            _ => Err(NotAScript::NotAbsolute),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_has_at_most_one_argument() {
        let parse = |text| Shebang::parse(text).map(|s| (s.interpreter, s.argument));
        assert_eq!(parse("#!/bin/sh\necho"), Ok(("/bin/sh", None)));
        assert_eq!(parse("#! /bin/sh -eu \r\necho"), Ok(("/bin/sh", Some("-eu"))));
        assert_eq!(
            parse("#!/usr/bin/env -S python3 -u"),
            Ok(("/usr/bin/env", Some("-S python3 -u")))
        );
    }

    #[test]
    fn other_texts_are_no_scripts() {
        for text in ["", "echo", "#cloud-config", "\n#!/bin/sh", "#!", "#!  \n"] {
            assert_eq!(Shebang::parse(text), Err(NotAScript::NoShebang), "{text:?}");
        }
        assert_eq!(Shebang::parse("#!python3"), Err(NotAScript::NotAbsolute));
    }
}
