//! What a machinetype's `root_image` means on EC2: an id (`ami-...`), a parameter of SSM (`resolve:ssm:/aws/...`,
//! which EC2 itself looks up in the call), or a name, in which `*` and `?` stand for anything: the newest image of
//! that name of the configured owners.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::{self, Filter, ImageState};
use tokio::sync::Mutex;
use vcycle_api::{Cache, Clock, ErrorKind, ProviderError};

use crate::account::Account;

const FIND: &str = "find image";

/// How long it is remembered which image a name means. Newer ones are taken up then.
const LIFETIME: Duration = Duration::from_secs(600);

/// What a `root_image` refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// An image by its id.
    Id(String),
    /// A parameter that EC2 looks up: the whole text, as `ImageId` takes it.
    Parameter(String),
    /// The newest image of a name.
    Name(String),
}

impl Reference {
    /// Reads a `root_image`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text {
            "" => Err("it is empty".to_owned()),
            text if text.starts_with("ami-") => Ok(Self::Id(text.to_owned())),
            text if text.starts_with("resolve:ssm:") => Ok(Self::Parameter(text.to_owned())),
            text if text.contains("://") || text.starts_with('/') => Err(format!(
                "{text}: EC2 takes no files; root_image is an ami-..., resolve:ssm:/PARAMETER, or a name"
            )),
            text => Ok(Self::Name(text.to_owned())),
        }
    }
}

/// An image, as the create call needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// What goes into `ImageId`.
    pub(crate) reference: String,
    /// Name of the root device; `None`: EC2 does not tell.
    pub(crate) root_device: Option<String>,
    /// Devices whose volumes would outlive the instance unless the call says otherwise.
    pub(crate) lasting: Vec<String>,
    /// EC2's word, for example `x86_64`.
    pub(crate) architecture: Option<String>,
    /// For people.
    pub(crate) name: Option<String>,
    pub(crate) created: Option<String>,
}

/// Which image each `root_image` means, remembered.
#[derive(Debug)]
pub(crate) struct Images {
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<String, Arc<Cache<Image>>>>,
}

impl Images {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    async fn slot(&self, text: &str) -> Arc<Cache<Image>> {
        let mut known = self.known.lock().await;
        let fresh = || Arc::new(Cache::new(Arc::clone(&self.clock)));
        Arc::clone(known.entry(text.to_owned()).or_insert_with(fresh))
    }

    /// EC2 said that one is not there.
    pub(crate) async fn forget(&self) {
        self.known.lock().await.clear();
    }
}

/// The image that a `root_image` means now.
pub(crate) async fn resolve(account: &Account, text: &str) -> Result<Arc<Image>, ProviderError> {
    let reference = Reference::parse(text).map_err(invalid)?;
    let slot = account.images.slot(text).await;
    slot.younger_than(LIFETIME, Box::pin(find(account, reference))).await
}

fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::InvalidSpec, FIND, message)
}

async fn find(account: &Account, reference: Reference) -> Result<Image, ProviderError> {
    match reference {
        Reference::Parameter(reference) => Ok(Image {
            reference,
            root_device: None,
            lasting: Vec::new(),
            architecture: None,
            name: None,
            created: None,
        }),
        Reference::Id(id) => {
            let found = ask(account, filter("image-id", &id), &[]).await?;
            let image = found.iter().find(|image| image.image_id() == Some(id.as_str()));
            let image = image.ok_or_else(|| invalid(format!("there is no image {id} for us")))?;
            usable(image)
        }
        Reference::Name(name) => {
            let owners = &account.settings.image_owners;
            let found = ask(account, filter("name", &name), owners).await?;
            let newest = newest(&found).ok_or_else(|| {
                let owners = owners.join(", ");
                invalid(format!("there is no image called {name} of the owners {owners}"))
            })?;
            usable(newest)
        }
    }
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

async fn ask(
    account: &Account,
    by: Filter,
    owners: &[String],
) -> Result<Vec<types::Image>, ProviderError> {
    let (mut found, mut token) = (Vec::new(), None::<String>);
    loop {
        let asked = account.session.call(FIND, |clients| {
            let request = clients.ec2.describe_images().filters(by.clone());
            let owners = (!owners.is_empty()).then(|| owners.to_vec());
            request.set_owners(owners).set_next_token(token.clone()).send()
        });
        let answer = asked.await.map_err(|failure| failure.of_read())?;
        found.extend_from_slice(answer.images());
        token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(found);
        }
    }
}

/// The newest that can be used; of equally new ones the one of the higher id, so that all managers choose alike.
/// Dates are written alike in all images, so their text tells the order.
fn newest(found: &[types::Image]) -> Option<&types::Image> {
    let usable = found.iter().filter(|image| is_available(image));
    usable.max_by_key(|image| (image.creation_date(), image.image_id()))
}

/// Doubles of EC2 leave the state out.
fn is_available(image: &types::Image) -> bool {
    image.state().is_none_or(|state| *state == ImageState::Available)
}

fn usable(image: &types::Image) -> Result<Image, ProviderError> {
    let id = image.image_id().unwrap_or_default();
    if !is_available(image) {
        let state = image.state().map_or("in no state", |state| state.as_str());
        return Err(invalid(format!("image {id} is {state}")));
    }
    let lasting = image
        .block_device_mappings()
        .iter()
        .filter(|it| it.ebs().is_some_and(|volume| volume.delete_on_termination() == Some(false)));
    Ok(Image {
        reference: id.to_owned(),
        root_device: image.root_device_name().map(str::to_owned),
        lasting: lasting.filter_map(|it| it.device_name().map(str::to_owned)).collect(),
        architecture: image.architecture().map(|word| word.as_str().to_owned()),
        name: image.name().map(str::to_owned),
        created: image.creation_date().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_told_by_its_beginning() {
        let parsed = |text| Reference::parse(text);
        assert_eq!(parsed(" ami-1 "), Ok(Reference::Id("ami-1".into())));
        let parameter = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023";
        assert_eq!(parsed(parameter), Ok(Reference::Parameter(parameter.into())));
        assert_eq!(parsed("cernvm-4*"), Ok(Reference::Name("cernvm-4*".into())));
        assert!(parsed("https://cernvm.example/cvm4.img").unwrap_err().contains("no files"));
        assert!(parsed("/var/lib/cvm4.img").is_err() && parsed(" ").is_err());
    }

    fn image(id: &str, created: &str, state: ImageState) -> types::Image {
        types::Image::builder().image_id(id).creation_date(created).state(state).build()
    }

    #[test]
    fn the_newest_image_that_can_be_used_is_meant() {
        let found = [
            image("ami-1", "2026-01-01T00:00:00.000Z", ImageState::Available),
            image("ami-3", "2026-03-01T00:00:00.000Z", ImageState::Pending),
            image("ami-2", "2026-02-01T00:00:00.000Z", ImageState::Available),
            image("ami-0", "2026-02-01T00:00:00.000Z", ImageState::Available),
        ];
        assert_eq!(newest(&found).and_then(types::Image::image_id), Some("ami-2"));
        assert_eq!(newest(&[]), None);
        assert_eq!(usable(&found[1]).unwrap_err().message, "image ami-3 is pending");
    }

    #[test]
    fn volumes_that_would_outlive_the_instance_are_noticed() {
        let mapping = |device: &str, ends: bool| {
            let ebs = types::EbsBlockDevice::builder().delete_on_termination(ends).build();
            types::BlockDeviceMapping::builder().device_name(device).ebs(ebs).build()
        };
        let image = types::Image::builder()
            .image_id("ami-1")
            .root_device_name("/dev/xvda")
            .block_device_mappings(mapping("/dev/xvda", true))
            .block_device_mappings(mapping("/dev/sdb", false))
            .build();
        let image = usable(&image).unwrap();
        assert_eq!(
            (image.root_device.as_deref(), image.lasting),
            (Some("/dev/xvda"), vec!["/dev/sdb".to_owned()])
        );
    }
}
