//! From the settings to credentials of the client library, and who they are.
//!
//! Nothing here speaks to the network: [`check`] reads files, [`make`] builds what will fetch tokens later. `make`
//! must be called inside a runtime, for the library fetches tokens in a task of its own.

use std::fs;
use std::path::{Path, PathBuf};

use google_cloud_auth::build_errors::Error as BuildError;
use google_cloud_auth::credentials::{
    self, AccessTokenCredentials, Builder, Credentials as Google, external_account, impersonated,
    service_account, user_account,
};
use serde_json::Value;

use crate::settings::{Credentials, Source};

/// One scope for all: what we may do is decided by our role, not by the token.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Why a provider cannot be opened. Never holds what stands in a credentials file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting that can never work.
    #[error("{what}: {why}")]
    Setting {
        /// Which.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The credentials file cannot be read.
    #[error("cannot read the credentials file {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The credentials file is not one.
    #[error("{}: {why}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong; never what stands there.
        why: String,
    },
}

/// Kinds of credentials file that can be used, by the word at `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ServiceAccount,
    ExternalAccount,
    Impersonated,
    Person,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] = [
        ("service_account", Self::ServiceAccount),
        ("external_account", Self::ExternalAccount),
        ("impersonated_service_account", Self::Impersonated),
        ("authorized_user", Self::Person),
    ];
}

fn read(file: &Path) -> Result<(Kind, Value), OpenError> {
    let text = fs::read_to_string(file)
        .map_err(|source| OpenError::Read { file: file.to_owned(), source })?;
    let bad = |why: String| OpenError::Content { file: file.to_owned(), why };
    // The text of a JSON error may quote the text: only its place is told.
    let json: Value = serde_json::from_str(&text).map_err(|error| {
        bad(format!("not JSON, at line {} column {}", error.line(), error.column()))
    })?;
    let word = json.get("type").and_then(Value::as_str).unwrap_or_default();
    let known = Kind::ALL.iter().find(|(name, _)| *name == word);
    let Some((_, kind)) = known else {
        let names: Vec<_> = Kind::ALL.iter().map(|(name, _)| *name).collect();
        return Err(bad(format!("its 'type' is none of {}", names.join(", "))));
    };
    Ok((*kind, json))
}

/// Whether credentials can be made from what is written down, without asking anybody.
pub(crate) fn check(credentials: &Credentials) -> Result<(), OpenError> {
    match &credentials.source {
        Source::Default | Source::Anonymous => Ok(()),
        Source::File(file) => read(file).map(drop),
    }
}

/// Why credentials cannot be made now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the credentials cannot be used: {0}")]
    Build(#[from] BuildError),
}

/// Credentials that get their tokens by themselves.
pub(crate) fn make(credentials: &Credentials) -> Result<Google, MakeError> {
    let own: Google = match &credentials.source {
        Source::Anonymous => return Ok(credentials::anonymous::Builder::new().build()),
        Source::Default => Builder::default().with_scopes([SCOPE]).build()?,
        Source::File(file) => {
            let (kind, json) = read(file)?;
            from_file(kind, json)?.into()
        }
    };
    match &credentials.impersonate {
        None => Ok(own),
        Some(email) => Ok(impersonated::Builder::from_source_credentials(own)
            .with_target_principal(email)
            .with_scopes([SCOPE])
            .build()?),
    }
}

fn from_file(kind: Kind, json: Value) -> Result<AccessTokenCredentials, BuildError> {
    match kind {
        Kind::ServiceAccount => service_account::Builder::new(json)
            .with_access_specifier(service_account::AccessSpecifier::from_scopes([SCOPE]))
            .build_access_token_credentials(),
        Kind::ExternalAccount => external_account::Builder::new(json)
            .with_scopes([SCOPE])
            .build_access_token_credentials(),
        Kind::Impersonated => {
            impersonated::Builder::new(json).with_scopes([SCOPE]).build_access_token_credentials()
        }
        Kind::Person => {
            user_account::Builder::new(json).with_scopes([SCOPE]).build_access_token_credentials()
        }
    }
}

/// Who we are, for people, as far as that is written down.
pub(crate) fn who(credentials: &Credentials) -> String {
    let own = match &credentials.source {
        Source::Anonymous => "nobody (anonymous, for tests)".to_owned(),
        Source::Default => {
            "application-default credentials (environment, gcloud or metadata server)".to_owned()
        }
        Source::File(file) => match read(file) {
            Ok((_, json)) => match json.get("client_email").and_then(Value::as_str) {
                Some(email) => email.to_owned(),
                None => format!("the identity of {}", file.display()),
            },
            Err(error) => error.to_string(),
        },
    };
    match &credentials.impersonate {
        None => own,
        Some(email) => format!("{email}, through {own}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    fn of(file: &tempfile::NamedTempFile) -> Credentials {
        Credentials { source: Source::File(file.path().to_owned()), impersonate: None }
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let gone =
            Credentials { source: Source::File("/nonexistent/key.json".into()), impersonate: None };
        let error = check(&gone).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/key.json"), "{error}");
    }

    #[test]
    fn no_error_quotes_a_credentials_file() {
        for content in [r#"{"private_key": "hush hush""#, r#"{"type": "hush hush"}"#, "hush"] {
            let error = check(&of(&file(content))).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
    }

    #[test]
    fn every_kind_of_file_is_known_by_its_word() {
        for (word, kind) in Kind::ALL {
            let file = file(&format!(r#"{{"type": "{word}"}}"#));
            assert_eq!(read(file.path()).unwrap().0, kind);
        }
    }

    #[test]
    fn a_service_account_says_who_it_is_and_for_whom_it_stands_in() {
        let file = file(r#"{"type": "service_account", "client_email": "v@p.example"}"#);
        let mut credentials = of(&file);
        assert_eq!(who(&credentials), "v@p.example");
        credentials.impersonate = Some("robot@p.example".to_owned());
        assert_eq!(who(&credentials), "robot@p.example, through v@p.example");
    }
}
