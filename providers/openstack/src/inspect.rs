//! What of a tenancy works and what does not, for `vcycle check --online`. Only looks.
//!
//! Every finding that is not good says what to do. Questions are asked side by side: a slow service
//! delays only what it is asked.

mod cloud;
mod login;
mod machinetypes;
mod network;
mod words;

use vcycle_api::{Finding, Need, Timestamp};

use crate::Settings;
use crate::session::{Session, Whoami};

/// What all questions need.
#[derive(Clone, Copy)]
struct View<'a> {
    session: &'a Session,
    settings: &'a Settings,
    who: &'a Whoami,
    now: Timestamp,
}

/// Looks at everything that machines with these needs depend on.
pub(crate) async fn inspect(
    session: &Session,
    settings: &Settings,
    now: Timestamp,
    needs: &[Need],
) -> Vec<Finding> {
    let who = match session.log_in_anew().await {
        Ok(who) => who,
        Err(failure) => return vec![login::refused(&failure)],
    };
    let view = View { session, settings, who: &who, now };
    let mut findings = login::accepted(&who, now);
    let (services, quota, networks, groups, zones, volumes, lease, machinetypes) = tokio::join!(
        cloud::services(view),
        cloud::quota(view),
        network::networks(view),
        network::security_groups(view),
        cloud::zones(view),
        cloud::volumes(view),
        cloud::lease(view),
        machinetypes::all(view, needs),
    );
    let ports = network::ports(view).await;
    findings.push(services);
    findings.push(quota);
    findings.extend(networks);
    findings.extend(ports);
    findings.extend(groups);
    findings.push(zones);
    findings.extend(volumes);
    findings.extend(lease);
    findings.extend(machinetypes);
    findings
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use vcycle_api::{Clock, MachinetypeName, ManualClock, Verdict};

    use super::*;
    use crate::testing::{FakeCloud, Site, SiteNetwork};
    use crate::{BootVolume, CloudRef, Credential, Networks};

    struct Lab {
        folder: tempfile::TempDir,
        cloud: FakeCloud,
        clock: Arc<ManualClock>,
    }

    impl Lab {
        async fn with(site: Site) -> Self {
            let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_310_000)));
            let cloud = FakeCloud::start(site, Arc::clone(&clock) as _).await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            let file = cloud.write_clouds_yaml(folder.path()).unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
            Self { folder, cloud, clock }
        }

        fn settings(&self, entry: &str) -> Settings {
            let file = Some(self.folder.path().join("clouds.yaml"));
            let cloud = CloudRef::Named { cloud: entry.to_owned(), file };
            Settings::new(Credential { cloud, region: None, interface: None })
        }

        /// What is told, one line for each finding, without what differs from run to run.
        async fn told(&self, settings: &Settings, needs: &[Need]) -> Vec<String> {
            let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
            let session = Session::open(settings, clock).unwrap();
            let before = self.cloud.mutations();
            let findings = inspect(&session, settings, self.clock.now(), needs).await;
            assert_eq!(self.cloud.mutations(), before, "it only looks");
            let folder = self.folder.path().to_str().unwrap();
            findings
                .iter()
                .map(|Finding { subject, verdict, detail }| {
                    format!("{verdict} | {subject} | {}", detail.replace(folder, "DIR"))
                })
                .collect()
        }
    }

    fn need(name: &str, image: &str, flavors: &[&str]) -> Need {
        Need {
            machinetype: MachinetypeName::parse(name).unwrap(),
            image: Some(image.to_owned()),
            public_key: Some("ssh-ed25519 AAAA lab".to_owned()),
            flavors: flavors.iter().map(|&flavor| flavor.to_owned()).collect(),
        }
    }

    #[tokio::test]
    async fn a_tenancy_that_works_is_told_in_one_screen() {
        let lab = Lab::with(Site::small()).await;
        let needs = [
            need("dune", "lab-tiny", &["lab.c8", "lab.c4"]),
            need("lhcb", "lab-tiny", &["lab.c8", "lab.c4"]),
        ];
        let told = lab.told(&lab.settings("site-a"), &needs).await;
        assert_eq!(
            told,
            [
                "works | login | cloud 'site-a' of DIR/clouds.yaml: project 'site-a', region RegionOne, user \
             site-a-user, roles reader, member",
                "works | services | compute 2.1 to 2.104, image, network, volumes",
                "works | quota | 0 of 2000 machines, 0 of 4000 processors, 0 MiB of memory without a limit in use",
                "works | networks | 'site-a-net', the only one",
                "works | zones | the site chooses one of: nova",
                "works | image of dune, lhcb | 'lab-tiny', e78c8710-260e-4fa2-ae53-be00db79ec58 (public, raw, \
             1.0 MB, 0 days old)",
                "works | flavours of dune, lhcb | lab.c8 (8 processors); lab.c4 (4 processors)",
                "works | key of dune, lhcb | a manager will import it as vcycle-7c20c8dbf2034b14",
            ]
        );
    }

    #[tokio::test]
    async fn what_does_not_work_is_told_with_what_to_write() {
        let mut site = Site::small();
        site.networks.push(SiteNetwork {
            id: "5e3c1d0a-0000-4000-8000-000000000001".to_owned(),
            name: "zweites Netz".to_owned(),
            project: Some("site-a".to_owned()),
            external: false,
        });
        let lab = Lab::with(site).await;
        let mut settings = lab.settings("site-a-app");
        settings.zones = vec!["nowa".to_owned()];
        settings.lease = Some("autumn".to_owned());
        settings.security_groups = vec!["defualt".to_owned()];
        settings.boot_volume = Some(BootVolume { gb: 20, volume_type: None });
        let needs = [need("dune", "lab-tny", &["lab.c9"]), need("lhcb", "/nowhere/x.img", &[])];
        let told = lab.told(&settings, &needs).await;
        let about = |subject: &str| {
            let start = [format!("fails | {subject} | "), format!("unknown | {subject} | ")];
            let line = told.iter().find_map(|line| start.iter().find_map(|s| line.strip_prefix(s)));
            line.unwrap_or_else(|| panic!("nothing wrong with {subject}: {told:#?}")).to_owned()
        };
        assert!(about("services").contains("no reservations"), "{told:#?}");
        assert!(about("networks").contains("write networks = ["), "{told:#?}");
        assert!(about("security groups").contains("near: default"), "{told:#?}");
        assert!(about("zones").contains("near: nova"), "{told:#?}");
        assert!(about("image of dune").contains("no image 'lab-tny'"), "{told:#?}");
        assert!(about("image of lhcb").contains("read /nowhere/x.img"), "{told:#?}");
        assert!(about("flavours of dune").contains("near: lab.c"), "{told:#?}");
        about("lease");
    }

    #[tokio::test]
    async fn without_a_login_there_is_one_finding_and_it_says_what_to_do() {
        let lab = Lab::with(Site::small()).await;
        let mut settings = lab.settings("site-a");
        settings.networks = Networks::None;
        let file = lab.folder.path().join("clouds.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("site-a-secret", "wrong")).unwrap();
        let clock: Arc<dyn Clock> = Arc::clone(&lab.clock) as _;
        let session = Session::open(&settings, clock).unwrap();
        let findings = inspect(&session, &settings, lab.clock.now(), &[]).await;
        let [login] = findings.as_slice() else { panic!("{findings:?}") };
        assert_eq!((login.subject.as_str(), login.verdict), ("login", Verdict::Fails));
        assert!(login.detail.contains("make a new application credential"), "{}", login.detail);
    }

    #[tokio::test]
    async fn a_login_that_was_good_before_is_not_called_good() {
        let lab = Lab::with(Site::small()).await;
        let settings = lab.settings("site-a");
        let session = Session::open(&settings, Arc::clone(&lab.clock) as _).unwrap();
        session.whoami().await.unwrap();
        lab.cloud.refuse_everybody();
        let findings = inspect(&session, &settings, lab.clock.now(), &[]).await;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((&*findings[0].subject, findings[0].verdict), ("login", Verdict::Fails));
    }
}
