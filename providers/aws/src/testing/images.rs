//! Images: by id, by name and owner.

use std::collections::BTreeMap;

use super::paging::Pages;
use super::params::{Filters, Params};
use super::reply::{Answer, Refusal, Said};
use super::site::SiteImage;
use super::wanted::ROOT_DEVICE;
use super::words::{Xml, is_id, time};
use super::world::World;

/// An image, with the account of its owner.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) site: SiteImage,
    pub(crate) owner: String,
}

impl Image {
    pub(crate) fn new(site: &SiteImage, account: &str) -> Self {
        let owner = if site.owner == "self" { account } else { &site.owner };
        Self { site: site.clone(), owner: owner.to_owned() }
    }
}

fn unknown(id: &str) -> Refusal {
    if !is_id(id, "ami") {
        return Refusal::new(400, "InvalidAMIID.Malformed", format!("Invalid id: \"{id}\""));
    }
    let message = format!("The image id '[{id}]' does not exist");
    Refusal::new(400, "InvalidAMIID.NotFound", message)
}

/// Whether machines can be made of an image.
pub(crate) fn usable(world: &World, id: &str) -> Result<(), Refusal> {
    let image = world.images.iter().find(|image| image.site.id == id).ok_or_else(|| unknown(id))?;
    match image.site.state.as_str() {
        "available" => Ok(()),
        "deregistered" => {
            let message = format!("The image id '[{id}]' is no longer available");
            Err(Refusal::new(400, "InvalidAMIID.Unavailable", message))
        }
        other => {
            let message = format!("The image '{id}' is in the state '{other}'");
            Err(Refusal::new(400, "InvalidAMIID.Unavailable", message))
        }
    }
}

/// Describes images.
pub(crate) fn describe(world: &World, params: &Params) -> Answer {
    let (ids, owners) = (params.list("ImageId"), params.list("Owner"));
    let filters = Filters::of(params)?;
    let all: Vec<&Image> =
        world.images.iter().filter(|image| image.site.state != "deregistered").collect();
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|image| image.site.id == **id)) {
        return Err(unknown(missing));
    }
    let owned = |image: &Image| {
        owners.is_empty()
            || owners.iter().any(|owner| {
                let own = *owner == "self" && image.owner == world.site.account;
                own || *owner == image.owner || Some(*owner) == image.site.alias.as_deref()
            })
    };
    let mut passed = Vec::new();
    for image in all {
        let named = ids.is_empty() || ids.contains(&image.site.id.as_str());
        if named && owned(image) && filters.pass(&BTreeMap::new(), |name| value(image, name))? {
            passed.push(image);
        }
    }
    let pages = Pages::asked(params);
    let (page, next) = pages.cut(passed, "ImageId", |image| image.site.id.clone())?;
    let mut xml = Xml::default();
    xml.list("imagesSet", page, show);
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}

fn value(image: &Image, name: &str) -> Option<Vec<String>> {
    let one = |text: &str| Some(vec![text.to_owned()]);
    match name {
        "image-id" => one(&image.site.id),
        "name" => one(&image.site.name),
        "state" => one(&image.site.state),
        "architecture" => one(&image.site.architecture),
        "owner-id" => one(&image.owner),
        "owner-alias" => Some(image.site.alias.iter().cloned().collect()),
        "is-public" => one(&image.site.public.to_string()),
        "image-type" => one("machine"),
        "root-device-type" => one("ebs"),
        "virtualization-type" => one("hvm"),
        "creation-date" => one(&time(image.site.created)),
        _ => None,
    }
}

fn show(xml: &mut Xml, image: &Image) {
    let site = &image.site;
    xml.text("imageId", &site.id);
    xml.text("imageLocation", format!("{}/{}", image.owner, site.name));
    xml.text("imageState", &site.state);
    xml.text("imageOwnerId", &image.owner);
    xml.text("creationDate", time(site.created));
    xml.text("isPublic", site.public);
    xml.text("architecture", &site.architecture);
    xml.text("imageType", "machine");
    xml.maybe("imageOwnerAlias", site.alias.as_ref());
    xml.text("name", &site.name);
    xml.text("rootDeviceType", "ebs");
    xml.text("rootDeviceName", ROOT_DEVICE);
    xml.list("blockDeviceMapping", [site], |xml, site| {
        xml.text("deviceName", ROOT_DEVICE);
        xml.inside("ebs", |xml| {
            xml.text("snapshotId", "snap-0123456789abcdef0");
            xml.text("volumeSize", site.gb);
            xml.text("deleteOnTermination", site.deletes_root);
            xml.text("volumeType", "gp3");
            xml.text("encrypted", false);
        });
    });
    xml.text("virtualizationType", "hvm");
    xml.text("hypervisor", "xen");
    xml.text("enaSupport", true);
    xml.text("platformDetails", "Linux/UNIX");
    xml.text("usageOperation", "RunInstances");
}
