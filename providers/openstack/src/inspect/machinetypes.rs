//! Findings of what each machinetype needs: its image, its flavours, its key. What several need
//! alike is asked and told once.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde::Deserialize;
use vcycle_api::{Finding, MachinetypeName, Need, Verdict};

use super::View;
use super::words::{nearest, some, unanswered};
use crate::image::{self, ImageId};
use crate::keypair;
use crate::session::{Arrived, Call, Failure, Service, segment};

/// A flavour, as far as it matters to whether a machine fits.
#[derive(Debug, Clone, Deserialize)]
struct Flavor {
    id: String,
    name: String,
    vcpus: u32,
    /// MiB.
    ram: u64,
    /// GiB; 0: none of its own.
    #[serde(default)]
    disk: u64,
}

/// All machinetypes.
pub(super) async fn all(view: View<'_>, needs: &[Need]) -> Vec<Finding> {
    let images = alike(needs, |need| Some(need.image.clone()));
    let keys = alike(needs, |need| need.public_key.clone());
    let (flavors, images, keys) = tokio::join!(
        flavors(view),
        join_all(images.into_iter().map(|(image, names)| async move {
            let (finding, id) = image_finding(view, image.as_deref(), &names).await;
            ((image, id), finding)
        })),
        join_all(keys.into_iter().map(|(key, names)| key_finding(view, key, names))),
    );
    let (found, mut findings): (BTreeMap<_, _>, Vec<Finding>) = images.into_iter().unzip();
    match flavors {
        Ok(flavors) => {
            let wanted = alike(needs, |need| Some((need.flavors.clone(), need.image.clone())));
            findings.extend(wanted.into_iter().map(|((names, image), machinetypes)| {
                let image = found.get(&image).cloned().flatten();
                let subject = subject("flavours", &machinetypes);
                let boots_from_volume = view.settings.boot_volume.is_some();
                judge(subject, &names, &flavors, image.as_ref(), boots_from_volume)
            }));
        }
        Err(failure) => findings.push(unanswered("flavours", &failure)),
    }
    findings.extend(keys);
    findings
}

/// What the needs have in common, with the machinetypes that have it.
fn alike<K: Ord>(
    needs: &[Need],
    of: impl Fn(&Need) -> Option<K>,
) -> BTreeMap<K, Vec<MachinetypeName>> {
    let mut groups: BTreeMap<K, Vec<MachinetypeName>> = BTreeMap::new();
    for need in needs {
        if let Some(key) = of(need) {
            groups.entry(key).or_default().push(need.machinetype.clone());
        }
    }
    groups
}

fn subject(what: &str, machinetypes: &[MachinetypeName]) -> String {
    let names: Vec<String> = machinetypes.iter().map(ToString::to_string).collect();
    format!("{what} of {}", some(&names))
}

async fn image_finding(
    view: View<'_>,
    image: Option<&str>,
    machinetypes: &[MachinetypeName],
) -> (Finding, Option<ImageId>) {
    let subject = subject("image", machinetypes);
    let Some(image) = image else {
        let detail = "no root_image, in the entry or in the configuration";
        return (Finding::fails(subject, detail), None);
    };
    let described = image::describe(view.session, image, &view.who.project_id, view.now).await;
    let detail = described.detail;
    let finding = match described.verdict {
        Verdict::Works => Finding::works(subject, detail),
        Verdict::Fails => Finding::fails(subject, detail),
        Verdict::Unknown => Finding::unknown(subject, detail),
    };
    (finding, described.image)
}

async fn flavors(view: View<'_>) -> Result<Vec<Flavor>, Failure> {
    let call = Call::get(Service::Compute, "/flavors/detail", "list flavours");
    view.session.pages(call, "flavors").await
}

/// Which of the flavours can be used. One that can is enough; the others are told.
fn judge(
    subject: String,
    wanted: &[String],
    flavors: &[Flavor],
    image: Option<&ImageId>,
    boots_from_volume: bool,
) -> Finding {
    let unfit = |flavor: &Flavor| unfit(flavor, image, boots_from_volume);
    if wanted.is_empty() {
        let fit: Vec<String> =
            flavors.iter().filter(|f| unfit(f).is_none()).map(|f| f.name.clone()).collect();
        return match fit.as_slice() {
            [] => Finding::fails(subject, "none of the site's can be used"),
            fit => Finding::works(subject, format!("any that fits: {}", some(fit))),
        };
    }
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for name in wanted {
        match flavors.iter().find(|flavor| flavor.name == *name) {
            Some(flavor) => match unfit(flavor) {
                None => right.push(format!("{name} ({} processors)", flavor.vcpus)),
                Some(why) => wrong.push(format!("{name} {why}")),
            },
            None => wrong.push(missing(name, flavors)),
        }
    }
    let words = [right.as_slice(), wrong.as_slice()].concat().join("; ");
    if right.is_empty() { Finding::fails(subject, words) } else { Finding::works(subject, words) }
}

fn missing(name: &str, flavors: &[Flavor]) -> String {
    match flavors.iter().find(|flavor| flavor.id == name) {
        Some(by_id) => format!("{name} is an id: write its name, {:?}", by_id.name),
        None => {
            let names: Vec<String> = flavors.iter().map(|flavor| flavor.name.clone()).collect();
            format!("{name} is not there ({})", nearest(name, &names))
        }
    }
}

/// Why no machine of this flavour can be made from this image.
fn unfit(flavor: &Flavor, image: Option<&ImageId>, boots_from_volume: bool) -> Option<String> {
    let disk = flavor.disk;
    if disk == 0 && !boots_from_volume {
        return Some("has no disk of its own: set boot_volume_gb".to_owned());
    }
    let image = image?;
    if !boots_from_volume && u64::from(image.min_disk_gb) > disk {
        let needed = image.min_disk_gb;
        return Some(format!("has a disk of {disk} GB, and the image needs {needed} GB"));
    }
    if u64::from(image.min_ram) > flavor.ram {
        let (has, needed) = (flavor.ram, image.min_ram);
        return Some(format!("has {has} MiB of memory, and the image needs {needed} MiB"));
    }
    None
}

async fn key_finding(view: View<'_>, key: String, machinetypes: Vec<MachinetypeName>) -> Finding {
    let subject = subject("key", &machinetypes);
    let name = keypair::name_of(&key);
    let path = format!("/os-keypairs/{}", segment(&name));
    match view.session.send(Call::get(Service::Compute, path, "read key pair")).await {
        Ok(_) => Finding::works(subject, format!("{name} is there")),
        Err(failure) if failure.arrived == Arrived::Certainly && failure.status == Some(404) => {
            Finding::works(subject, format!("a manager will import it as {name}"))
        }
        Err(failure) => unanswered(&subject, &failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flavor(name: &str, vcpus: u32, disk: u64) -> Flavor {
        Flavor { id: format!("id-{name}"), name: name.to_owned(), vcpus, ram: 2048, disk }
    }

    fn judged(wanted: &[&str], image: Option<&ImageId>) -> Finding {
        let flavors = [flavor("c1", 1, 20), flavor("c8", 8, 160), flavor("bare", 4, 0)];
        let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
        judge("flavours of dune".to_owned(), &wanted, &flavors, image, false)
    }

    #[test]
    fn one_flavour_that_can_be_used_is_enough_and_the_others_are_told() {
        assert_eq!(judged(&["c8"], None).detail, "c8 (8 processors)");
        let mixed = judged(&["c9", "c8"], None);
        assert_eq!(mixed.verdict, Verdict::Works);
        assert_eq!(mixed.detail, "c8 (8 processors); c9 is not there (near: c1, c8)");
        assert_eq!(judged(&["id-c8"], None).verdict, Verdict::Fails);
        assert!(judged(&["id-c8"], None).detail.contains("write its name, \"c8\""));
    }

    #[test]
    fn without_names_any_flavour_that_fits_will_do() {
        assert_eq!(judged(&[], None).detail, "any that fits: c1, c8");
    }

    #[test]
    fn a_flavour_without_room_for_the_image_cannot_be_used() {
        let big = ImageId { id: "i".to_owned(), min_disk_gb: 40, min_ram: 0 };
        let small = judged(&["c1"], Some(&big));
        assert_eq!(small.verdict, Verdict::Fails);
        assert_eq!(small.detail, "c1 has a disk of 20 GB, and the image needs 40 GB");
        assert_eq!(judged(&[], Some(&big)).detail, "any that fits: c8");
        assert!(judged(&["bare"], Some(&big)).detail.contains("boot_volume_gb"));
    }

    #[test]
    fn what_several_machinetypes_need_alike_is_told_once() {
        let need = |name: &str, image: &str| Need {
            machinetype: MachinetypeName::parse(name).unwrap(),
            image: Some(image.to_owned()),
            public_key: None,
            flavors: Vec::new(),
        };
        let needs = [need("dune", "alma"), need("lhcb", "alma"), need("alice", "other")];
        let groups = alike(&needs, |need| need.image.clone());
        let subjects: Vec<String> = groups.values().map(|names| subject("image", names)).collect();
        assert_eq!(subjects, ["image of dune, lhcb", "image of alice"]);
    }
}
