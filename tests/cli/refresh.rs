//! `vcycle prices refresh` of Google's catalogue and of a site's CloudKitty: the lists are such that `prices check` reads them.

use std::sync::Arc;

use vcycle_api::SystemClock;

use super::{Answer, Site};

/// A site that counts in pounds, with one space more.
fn site_with(space: &str) -> Site {
    let site = Site::new();
    let spending = "[spending]\ncurrency = \"GBP\"\nprices = \"prices/*.toml\"\nprice_age = \"3650d\"\nrates = \"rates.toml\"\nrate_age = \"3650d\"\n";
    let rate = "[[rate]]\ncurrency = \"USD\"\nworth = \"0.80 GBP\"\non = 2026-01-01\nsource = \"made up\"\n";
    std::fs::write(site.path("rates.toml"), rate).unwrap();
    std::fs::write(site.path("vcycle.toml"), site.config_text() + spending + space).unwrap();
    std::fs::create_dir(site.path("prices")).unwrap();
    site
}

/// What a cloud does not tell is in a list that somebody wrote.
fn write_disks(site: &Site, provider: &str) {
    let list = format!(
        "[list]\nprovider = {provider:?}\ncurrency = \"GBP\"\nvalid_from = 2026-01-01\nconfirmed = 2026-01-01\nsource = \"made up\"\n\
         minimum = \"60s\"\ngranularity = \"1s\"\n\n[[disk]]\nper_gb_month = \"0.04\"\n"
    );
    std::fs::write(site.path("prices/disks.toml"), list).unwrap();
}

fn refresh(site: &Site, space: &str, more: &[&str]) -> Answer {
    let into = site.path("prices/told.toml").display().to_string();
    let mut args = vec!["prices", "refresh", space, "--into", &into];
    args.extend(more);
    site.call(&args)
}

fn told(site: &Site) -> String {
    std::fs::read_to_string(site.path("prices/told.toml")).unwrap()
}

fn per_hour(site: &Site, space: &str, flavour: &str, market: &str) -> String {
    let answer = site.call(&["prices", "list", space, "--json"]).json();
    let offerings = answer["spaces"][0]["offerings"].as_array().unwrap().clone();
    let found = offerings.iter().find(|it| it["flavour"] == flavour && it["market"] == market);
    found.unwrap()["price"]["quoted"].as_str().unwrap().to_owned()
}

mod google {
    use vcycle_gcp::testing::{FakeCloud, Site as Project};

    use super::*;

    const SPACE: &str = "gcp.example";

    async fn lab(machine_types: &str) -> (FakeCloud, Site, tempfile::TempDir) {
        let mut project = Project::small();
        project.skus_on_a_page = 3;
        let fake = FakeCloud::start(project, Arc::new(SystemClock::new())).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = fake.write_key_file(folder.path()).unwrap();
        let site = site_with(&format!(
            "[space.\"{SPACE}\"]\nmarkets = [\"spot\", \"on-demand\"]\n[space.\"{SPACE}\".gcp]\nproject = \"vcycle-lab\"\n\
             region = \"europe-west2\"\nmachine_types = [{machine_types}]\nboot_disk_gb = 10\ncredentials_file = {key:?}\n\
             endpoint = \"{0}\"\nbilling_endpoint = \"{0}\"\n[space.\"{SPACE}\".machinetype.any]\nentry = \"example\"\n\
             target_share = 1\n",
            fake.base()
        ));
        write_disks(&site, "gcp");
        (fake, site, folder)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_list_of_the_catalogue_gives_every_offering_a_price() {
        let (_fake, site, _folder) = lab("\"n2-standard-4\", \"e2-standard-2\"").await;
        let check = site.call(&["prices", "check", SPACE]);
        assert_eq!(check.code, Some(1), "{check:?}");
        let answer = refresh(&site, SPACE, &[]);
        assert_eq!(
            (answer.code, &*answer.stdout, &*answer.stderr),
            (Some(0), "", ""),
            "{answer:?}"
        );
        let list = told(&site);
        assert!(
            list.contains("provider = \"gcp\"\nregion = \"europe-west2\"\ncurrency = \"USD\"\n"),
            "{list}"
        );
        assert!(list.contains("type = \"n2-standard-4\"\nper_hour = \"0.250248\"\n"), "{list}");
        assert!(list.contains("market = \"spot\"\nper_hour = \"0.05752\"\n"), "{list}");
        let check = site.call(&["prices", "check", SPACE]);
        let said = "everything that could be made has a price\n";
        assert_eq!((check.code, &*check.stdout), (Some(0), said), "{check:?}");
        assert_eq!(per_hour(&site, SPACE, "n2-standard-4", "on-demand"), "0.250248 USD");
        let more = ["--currency", "GBP", "--charge-spot", "listed", "--price-age", "2d"];
        let again = refresh(&site, SPACE, &more);
        assert_eq!(again.code, Some(0), "{again:?}");
        let list = told(&site);
        assert!(list.contains("price_age = \"172800s\"\ncharge_spot = \"listed\"\n"), "{list}");
        assert_eq!(per_hour(&site, SPACE, "n2-standard-4", "on-demand"), "0.2001984 GBP");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_not_certain_is_said_and_not_in_the_list() {
        let (_fake, site, _folder) = lab("\"n2-standard-4\", \"n2-custom-2-8192\"").await;
        let answer = refresh(&site, SPACE, &[]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        let why =
            "n2-custom-2-8192 on-demand: n2-custom-2-8192 is no standard, highmem or highcpu type";
        assert!(answer.stderr.contains(&format!("left out: {why}")), "{answer:?}");
        let list = told(&site);
        assert!(
            list.contains(&format!("# {why}")) && !list.contains("type = \"n2-custom"),
            "{list}"
        );
        assert_eq!(site.call(&["prices", "check", SPACE]).code, Some(1));
        let (_fake, site, _folder) = lab("\"n2-custom-2-8192\"").await;
        let answer = refresh(&site, SPACE, &[]);
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert!(
            answer.stderr.contains("no certain price") && answer.stderr.contains(why),
            "{answer:?}"
        );
        assert!(!site.path("prices/told.toml").exists());
    }
}

mod cloudkitty {
    use std::time::Duration;

    use vcycle_openstack::testing::{
        FakeCloud, Site as Cloud, SiteCharge, SiteFlavor, SiteRating, SiteRule,
    };

    use super::*;

    const SPACE: &str = "iris.example";

    async fn lab(rating: Option<SiteRating>) -> (FakeCloud, Site, tempfile::TempDir) {
        let mut cloud = Cloud::small();
        cloud.flavors =
            vec![SiteFlavor::new("c1", "lab.c1", 1), SiteFlavor::new("c2", "lab.c2", 2)];
        cloud.rating = rating;
        let fake = FakeCloud::start(cloud, Arc::new(SystemClock::new())).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = fake.write_clouds_yaml(folder.path()).unwrap();
        let site = site_with(&format!(
            "[space.\"{SPACE}\"]\n[space.\"{SPACE}\".openstack]\ncloud = \"site-a\"\nclouds_file = {file:?}\nvolume_gb_per_processor = 10\n\
             preemptible_flavors = [\"lab.c2\"]\n\
             [space.\"{SPACE}\".machinetype.any]\nentry = \"example\"\ntarget_share = 1\n"
        ));
        write_disks(&site, "openstack");
        (fake, site, folder)
    }

    fn rules() -> SiteRating {
        let rules = [("lab.c1", "0.0100000000000000000000000001"), ("lab.c2", "0.02")];
        let rules = rules.map(|(flavor, cost)| SiteRule::flat("flavor_name", flavor, cost)).into();
        SiteRating { rules, ..SiteRating::default() }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_list_of_the_sites_rules_gives_every_flavour_a_price() {
        let (_fake, site, _folder) = lab(Some(rules())).await;
        let answer = refresh(&site, SPACE, &[]);
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert!(answer.stderr.contains("--currency GBP"), "it has none of its own: {answer:?}");
        let answer = refresh(&site, SPACE, &["--currency", "GBP"]);
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert!(answer.stderr.contains("--period 1h"), "nothing shows it: {answer:?}");
        let answer = refresh(&site, SPACE, &["--currency", "GBP", "--period", "10m"]);
        assert_eq!((answer.code, &*answer.stderr), (Some(0), ""), "{answer:?}");
        let list = told(&site);
        assert!(
            list.contains(
                "provider = \"openstack\"\nspaces = [\"iris.example\"]\ncurrency = \"GBP\"\n"
            ),
            "{list}"
        );
        assert!(list.contains("minimum = \"600s\"\ngranularity = \"1h\"\n"), "{list}");
        let check = site.call(&["prices", "check", SPACE]);
        assert_eq!(check.code, Some(0), "{check:?}");
        assert_eq!(per_hour(&site, SPACE, "lab.c1", "on-demand"), "0.06 GBP");
        // What the site takes back is reserved at the same price.
        assert_eq!(per_hour(&site, SPACE, "lab.c2", "preemptible"), "0.12 GBP");
        // A site whose volumes cost nothing has no price of them.
        std::fs::remove_file(site.path("prices/disks.toml")).unwrap();
        assert_eq!(site.call(&["prices", "check", SPACE]).code, Some(1));
        let free = ["--included", "disks", "--included", "addresses", "--included", "disks"];
        let more = [&["--currency", "GBP", "--period", "10m"][..], &free].concat();
        assert_eq!(refresh(&site, SPACE, &more).code, Some(0));
        let check = site.call(&["prices", "check", SPACE]);
        assert_eq!(check.code, Some(0), "{check:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn where_rules_are_closed_charges_tell_prices_and_the_period() {
        let charge = |flavor: &str, price: &str| SiteCharge {
            flavor: flavor.to_owned(),
            quantity: 1.0,
            price: price.to_owned(),
        };
        let charges =
            vec![charge("lab.c1", "0.005"), charge("lab.c1", "0.006"), charge("lab.c2", "0")];
        let period = Duration::from_secs(1800);
        let rating = SiteRating { open: false, charges, period, ..SiteRating::default() };
        let (_fake, site, _folder) = lab(Some(rating)).await;
        let answer = refresh(&site, SPACE, &["--currency", "GBP", "--period", "1h"]);
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert!(answer.stderr.contains("in periods of 1800 s, not of 3600 s"), "{answer:?}");
        let answer = refresh(&site, SPACE, &["--currency", "GBP"]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert!(
            answer.stderr.contains("lab.c2 on-demand: its price is not above zero"),
            "{answer:?}"
        );
        assert_eq!(per_hour(&site, SPACE, "lab.c1", "on-demand"), "0.012 GBP");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_site_without_a_rating_service_says_what_to_do() {
        let (_fake, site, _folder) = lab(None).await;
        let answer = refresh(&site, SPACE, &["--currency", "GBP"]);
        assert_eq!(answer.code, Some(1), "{answer:?}");
        for said in ["no rating service (CloudKitty)", "by hand", "rating_endpoint_override"] {
            assert!(answer.stderr.contains(said), "{said}: {answer:?}");
        }
        let answer = refresh(&site, SPACE, &["--currency", "pounds"]);
        assert_eq!(answer.code, Some(2), "{answer:?}");
        assert!(answer.stderr.contains("three capital letters"), "{answer:?}");
    }
}
