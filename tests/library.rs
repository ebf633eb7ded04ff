//! Rendering is one pass: values are copied, never expanded; nothing that looks like a pattern of
//! ours is left; secrets are masked for people. And the pages of `vcycle library`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use vcycle::config::Host;
use vcycle::library::{
    Definition, MachineUrls, MachineVariables, OptionText, RenderError, Setup, catalogue, load_all,
};
use vcycle::model::{EntryName, EntryRef, MachineName, MachinetypeName, SpaceName};

fn definition(template: &str, options: &[(&str, &str, bool)]) -> Definition {
    let option = |(name, text, secret): &(&str, &str, bool)| {
        ((*name).to_owned(), OptionText { text: (*text).into(), secret: *secret })
    };
    Definition {
        entry: EntryRef { name: EntryName::parse("e").unwrap(), version: "1".to_owned() },
        image: Some("https://images.example/alma9.img".to_owned()),
        public_key: None,
        template: template.into(),
        options: options.iter().map(option).collect(),
        https_x509dn: Vec::new(),
        heartbeat_file: None,
    }
}

struct Names {
    space: SpaceName,
    machinetype: MachinetypeName,
    machine: MachineName,
}

fn names() -> Names {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    let machine = MachineName::compose(&machinetype, 0);
    Names { space: SpaceName::parse("a.example").unwrap(), machinetype, machine }
}

fn variables(names: &Names) -> MachineVariables<'_> {
    MachineVariables {
        site: "UKI-EXAMPLE",
        space: &names.space,
        machinetype: &names.machinetype,
        machine: &names.machine,
        manager_version: "vcycle 1.0",
        manager_hostname: "manager.example",
        base_url: "https://manager.example:8443",
        outputs_token: "t0ken",
        manager_ca: "CA\n",
        deadline: vcycle::model::Timestamp::from_secs(1_800_000_000),
    }
}

fn rendered(definition: &Definition) -> (String, String) {
    let names = names();
    let rendered = definition.render(&variables(&names), usize::MAX).unwrap();
    (rendered.user_data.expose().to_owned(), rendered.masked)
}

fn text(template: &str) -> String {
    rendered(&definition(template, &[])).0
}

#[test]
fn every_pattern_of_the_ancestor_has_its_value() {
    let machine = "vcycle-dune-aaaaaaaaaa";
    let base = format!("https://manager.example:8443/machines/a.example/{machine}");
    for (pattern, value) in [
        ("site", "UKI-EXAMPLE"),
        ("space", "a.example"),
        ("machinetype", "dune"),
        ("vmtype", "dune"),
        ("machine_hostname", machine),
        ("vm_hostname", machine),
        ("manager_version", "vcycle 1.0"),
        ("vmlm_version", "vcycle 1.0"),
        ("manager_hostname", "manager.example"),
        ("vmlm_hostname", "manager.example"),
        ("machinefeatures_url", &format!("{base}/machinefeatures")),
        ("manager_machinefeatures_url", &format!("{base}/machinefeatures")),
        ("jobfeatures_url", &format!("{base}/jobfeatures")),
        ("manager_jobfeatures_url", &format!("{base}/jobfeatures")),
        ("joboutputs_url", &format!("{base}/joboutputs")),
        ("manager_joboutputs_url", &format!("{base}/joboutputs")),
        ("heartbeat_machines_url", "https://manager.example:8443/heartbeatlists/a.example"),
        ("root_image_url", "https://images.example/alma9.img"),
        ("option_joboutputs_token", "t0ken"),
        ("option_joboutputs_token_base64", "dDBrZW4="),
        ("option_manager_ca", "CA\n"),
        ("option_manager_ca_base64", "Q0EK"),
        ("url", ""),
        ("uuid", ""),
        ("nonsense", ""),
        ("option_nonsense", ""),
        ("file_nonsense", ""),
        ("", ""),
    ] {
        let template = format!("[##user_data_{pattern}##]");
        assert_eq!(text(&template), format!("[{value}]"), "{pattern}");
    }
    let names = names();
    let urls = MachineUrls::new("https://manager.example:8443", &names.space, &names.machine);
    assert_eq!(urls.jobfeatures, format!("{base}/jobfeatures"));
}

#[test]
fn an_image_that_is_no_url_gives_no_url() {
    let mut definition = definition("[##user_data_root_image_url##]", &[]);
    definition.image = Some("image:alma9".to_owned());
    assert_eq!(rendered(&definition).0, "[]");
}

#[test]
fn options_and_files_come_plain_and_in_base64() {
    let template = "##user_data_option_q## ##user_data_option_q_base64## ##user_data_file_q##";
    assert_eq!(rendered(&definition(template, &[("q", "a|b;'", false)])).0, "a|b;' YXxiOyc= a|b;'");
}

/// FIELD.md 7, trap 15: the ancestor replaced options one after the other, in the order of a
/// dictionary, so a value with a pattern in it was expanded in some runs and not in others.
#[test]
fn trap_7_15_a_value_that_looks_like_a_pattern_is_copied() {
    let options = [
        ("a", "##user_data_option_b##", false),
        ("b", "##user_data_option_a##", false),
        ("half", "##user_data_opt", false),
    ];
    let template = "##user_data_option_a##|##user_data_option_b##|##user_data_option_half##ion_a##";
    let (text, masked) = rendered(&definition(template, &options));
    assert_eq!(text, "##user_data_option_b##|##user_data_option_a##|##user_data_option_a##");
    assert_eq!(masked, text);
}

#[test]
fn secrets_are_masked_for_people_in_every_form() {
    let template = "##user_data_option_s## ##user_data_option_s_base64## ##user_data_file_s## \
                    ##user_data_option_joboutputs_token## ##user_data_option_open##";
    let options = [("s", "hunter2", true), ("open", "yes", false)];
    let (text, masked) = rendered(&definition(template, &options));
    assert_eq!(text, "hunter2 aHVudGVyMg== hunter2 t0ken yes");
    assert_eq!(masked, "[secret] [secret] [secret] [secret] yes");
}

#[test]
fn the_size_is_checked_in_bytes_before_anything_is_made() {
    let names = names();
    let definition = definition("é##user_data_option_x##", &[("x", "éé", false)]);
    assert!(definition.render(&variables(&names), 6).is_ok());
    let error = definition.render(&variables(&names), 5).unwrap_err();
    assert_eq!(error, RenderError::TooLarge { bytes: 6, limit: 5 });
    assert_eq!(
        error.to_string(),
        "user_data of 6 bytes is larger than the 5 bytes that the provider takes"
    );
}

/// The pieces that make trouble, and some that do not.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("##".to_owned()),
        Just("#".to_owned()),
        Just("##user_data_".to_owned()),
        Just("user_data_".to_owned()),
        Just("##user_data_space##".to_owned()),
        Just("##user_data_option_a##".to_owned()),
        Just("##user_data_option_b_base64##".to_owned()),
        Just("##user_data_option_##".to_owned()),
        "[a-z,_é \n]{0,4}",
    ]
}

fn tangle() -> impl Strategy<Value = String> {
    prop::collection::vec(part(), 0..12).prop_map(|parts| parts.concat())
}

/// An independent statement of one pass: split at patterns, look each up, join.
fn expected(template: &str, values: &BTreeMap<&str, String>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(open) = rest.find("##user_data_") {
        let name = &rest[open + 12..];
        let end = name
            .find(|c: char| !matches!(c, 'a'..='z' | '0'..='9' | '_' | ','))
            .unwrap_or(name.len());
        if name[end..].starts_with("##") {
            out += &rest[..open];
            out += values.get(&name[..end]).map_or("", String::as_str);
            rest = &name[end + 2..];
        } else {
            out += &rest[..=open];
            rest = &rest[open + 1..];
        }
    }
    out + rest
}

proptest! {
    #[test]
    fn rendering_is_one_pass_whatever_the_values_hold(
        template in tangle(), a in tangle(), b in tangle(),
    ) {
        let definition = definition(&template, &[("a", &a, false), ("b", &b, false)]);
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &b);
        let values = BTreeMap::from([
            ("space", "a.example".to_owned()),
            ("option_a", a),
            ("option_b_base64", base64),
        ]);
        let (text, masked) = rendered(&definition);
        prop_assert_eq!(&text, &expected(&template, &values));
        prop_assert_eq!(masked, text);
    }

    #[test]
    fn no_pattern_is_left_of_patterns_that_are_not_nested(
        names in prop::collection::vec("[a-z0-9_,]{0,12}", 0..8),
        between in prop::collection::vec("[a-z \n]{0,5}", 9),
        value in "[^#]{0,20}",
    ) {
        let mut template = between[8].clone();
        for (name, text) in names.iter().zip(&between) {
            template += &format!("##user_data_{name}##{text}");
        }
        let (text, _) = rendered(&definition(&template, &[("a", &value, false)]));
        prop_assert!(!text.contains('#'), "{}", text);
    }

    #[test]
    fn a_secret_is_never_in_the_form_for_people(template in tangle(), secret in "[A-Z0-9]{12}") {
        let definition = definition(&template, &[("a", &secret, true), ("b", &secret, true)]);
        let (_, masked) = rendered(&definition);
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &secret);
        prop_assert!(!masked.contains(&secret) && !masked.contains(&base64));
        let debug = format!("{definition:?}");
        prop_assert!(!debug.contains(&secret));
    }
}

fn library() -> Vec<PathBuf> {
    vec![PathBuf::from("tests/config-library")]
}

fn entry(name: &str) -> EntryName {
    EntryName::parse(name).unwrap()
}

fn good() -> Setup {
    let host = Host { name: "manager-1.example".to_owned() };
    load_all(Path::new("tests/config/good-everything/vcycle.toml"), &host).setup.unwrap()
}

#[test]
fn the_catalogue_lists_shows_and_checks_entries() {
    let rows = catalogue::list(&library());
    let names: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.errors)).collect();
    assert_eq!(names, [("plain", 0), ("strict", 0)]);
    let page = catalogue::show(&library(), &entry("plain")).unwrap();
    snapbox::assert_data_eq!(page.to_string(), snapbox::file!["library/plain.txt"]);
    let json = serde_json::to_string_pretty(&page).unwrap();
    snapbox::assert_data_eq!(json, snapbox::file!["library/plain.json": Text]);
    let checked = catalogue::check(&library(), None).unwrap();
    assert!(checked.errors.is_empty() && checked.warnings.is_empty(), "{checked:?}");
    let error = catalogue::show(&library(), &entry("plian")).unwrap_err().to_string();
    assert!(error.contains("did you mean plain?"), "{error}");
}

#[test]
fn a_broken_entry_is_listed_with_its_errors() {
    let broken = vec![PathBuf::from("tests/config/entry-options-wrong/library")];
    let rows = catalogue::list(&broken);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].errors, 9);
    let checked = catalogue::check(&broken, Some(&entry("odd"))).unwrap();
    assert_eq!(checked.errors.len(), 9);
    assert_eq!(checked.warnings.len(), 1, "it has no README.md");
    assert!(catalogue::show(&broken, &entry("odd")).is_err());
}

#[test]
fn a_sample_is_what_a_machine_would_get_with_secrets_masked() {
    let setup = good();
    let space = SpaceName::parse("a.example").unwrap();
    for name in ["one", "plain"] {
        let sample = catalogue::render(&setup, &space, name, 65_535).unwrap();
        snapbox::assert_data_eq!(sample.masked, snapbox::file!["library/sample.txt"]);
        assert!(sample.user_data.expose().contains("hostcert='Q0VSVAo='\nCERT\n"));
        assert!(sample.user_data.expose().contains("password='CERT'"), "without its last newline");
    }
    let error = catalogue::render(&setup, &space, "two", 65_535).unwrap_err();
    assert_eq!(
        error.to_string(),
        "space a.example has no machinetype `two` and none with the entry `two`"
    );
    let elsewhere = SpaceName::parse("c").unwrap();
    assert!(catalogue::render(&setup, &elsewhere, "one", 65_535).is_err());
    assert!(catalogue::render(&setup, &space, "one", 10).is_err());
}

#[test]
fn the_first_library_folder_that_has_an_entry_wins() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("plain");
    std::fs::create_dir(&own).unwrap();
    let text = std::fs::read_to_string("tests/config-library/plain/entry.toml").unwrap();
    std::fs::write(own.join("entry.toml"), text.replace("version = \"1.2\"", "version = \"2.0\""))
        .unwrap();
    std::fs::copy("tests/config-library/plain/user_data", own.join("user_data")).unwrap();
    let both = [folder.path().to_owned(), PathBuf::from("tests/config-library")];
    assert_eq!(catalogue::show(&both, &entry("plain")).unwrap().version, "2.0");
    let reversed = [both[1].clone(), both[0].clone()];
    assert_eq!(catalogue::show(&reversed, &entry("plain")).unwrap().version, "1.2");
}
