//! One identity in one region: the only way of this crate to speak to Amazon.
//!
//! The SDK repeats nothing (the next cycle is the retry, and it would repeat stock-outs too, which EC2 says
//! with status 500), and each request has a time limit. Credentials are looked for at the first request, and
//! fetched anew before they expire.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::sync::{OnceCell, Semaphore};

use crate::errors::Failure;
use crate::settings::{CredentialFiles, Credentials};
use crate::{OpenError, Settings, open};

/// The longest that a connection may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A session.
pub(crate) struct Session {
    settings: Arc<Settings>,
    clients: OnceCell<Clients>,
    limit: Semaphore,
}

/// One client for each service, with the same credentials and connections.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) quotas: aws_sdk_servicequotas::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) sts: aws_sdk_sts::Client,
}

impl Session {
    /// Checks what can be checked from files. Does not speak to anybody.
    pub(crate) fn open(settings: Arc<Settings>) -> Result<Self, OpenError> {
        open::check(&settings)?;
        let limit = Semaphore::new(settings.requests_at_once.max(1) as usize);
        Ok(Self { settings, clients: OnceCell::new(), limit })
    }

    /// Makes one request, in its turn among those that may be under way at once.
    pub(crate) async fn call<T, E, F>(
        &self,
        operation: &'static str,
        request: impl FnOnce(&Clients) -> F,
    ) -> Result<T, Failure>
    where
        T: RequestId,
        E: Error + ProvideErrorMetadata + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let _place = self.limit.acquire().await.expect("the semaphore is never closed");
        // The futures of the SDK are too large for the stack of every caller.
        match Box::pin(request(self.clients().await)).await {
            Ok(answer) => {
                tracing::debug!(operation, request_id = answer.request_id(), "answered");
                Ok(answer)
            }
            Err(error) => {
                let failure = Failure::of(operation, &error);
                let Failure { code, status, request_id, .. } = &failure;
                tracing::debug!(operation, ?code, ?status, ?request_id, "failed");
                Err(failure)
            }
        }
    }

    async fn clients(&self) -> &Clients {
        // Reading the files of profiles: too much for the stack of every caller.
        self.clients.get_or_init(|| Box::pin(connect(&self.settings))).await
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.settings.region)
    }
}

async fn connect(settings: &Settings) -> Clients {
    let config = config(settings).await;
    Clients {
        ec2: aws_sdk_ec2::Client::new(&config),
        quotas: aws_sdk_servicequotas::Client::new(&config),
        sqs: aws_sdk_sqs::Client::new(&config),
        sts: aws_sdk_sts::Client::new(&config),
    }
}

/// What all clients have in common.
async fn config(settings: &Settings) -> SdkConfig {
    let Credentials { profile, files, role } = &settings.credentials;
    let mut loader = common(settings);
    if profile.is_some() || files.credentials.is_some() || files.config.is_some() {
        // The default chain would take keys of the environment before those that the settings name.
        loader = loader.credentials_provider(of_profile(settings));
    }
    let config = loader.load().await;
    let Some(role) = role else { return config };
    let mut assumed = AssumeRoleProvider::builder(&role.arn)
        .session_name("vcycle")
        .region(Region::new(settings.region.clone()));
    if let Some(external_id) = &role.external_id {
        assumed = assumed.external_id(external_id);
    }
    let assumed = assumed.configure(&config).build().await;
    common(settings).credentials_provider(assumed).load().await
}

fn common(settings: &Settings) -> ConfigLoader {
    let time = settings.request_time;
    let limits = TimeoutConfig::builder()
        .connect_timeout(time.min(CONNECT_TIME))
        .operation_timeout(time)
        .operation_attempt_timeout(time)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(limits)
        // It ends slow transfers, which have a time limit here anyway, with an error of its own kind.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .identity_cache(IdentityCache::lazy().load_timeout(time).build());
    if let Some(name) = &settings.credentials.profile {
        loader = loader.profile_name(name);
    }
    if let Some(files) = profile_files(&settings.credentials.files) {
        loader = loader.profile_files(files);
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    loader
}

fn of_profile(settings: &Settings) -> ProfileFileCredentialsProvider {
    let region = Some(Region::new(settings.region.clone()));
    let mut builder = ProfileFileCredentialsProvider::builder()
        .configure(&ProviderConfig::default().with_region(region));
    if let Some(name) = &settings.credentials.profile {
        builder = builder.profile_name(name);
    }
    if let Some(files) = profile_files(&settings.credentials.files) {
        builder = builder.profile_files(files);
    }
    builder.build()
}

fn profile_files(files: &CredentialFiles) -> Option<EnvConfigFiles> {
    let CredentialFiles { credentials, config } = files;
    if credentials.is_none() && config.is_none() {
        return None;
    }
    let mut builder = EnvConfigFiles::builder();
    builder = match credentials {
        Some(path) => builder.with_file(EnvConfigFileKind::Credentials, path),
        None => builder.include_default_credentials_file(true),
    };
    builder = match config {
        Some(path) => builder.with_file(EnvConfigFileKind::Config, path),
        None => builder.include_default_config_file(true),
    };
    Some(builder.build())
}
