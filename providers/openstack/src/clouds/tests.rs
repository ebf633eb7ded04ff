//! Files and variables as people have them, and what is read from them.

use std::error::Error as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::*;
use crate::session::Service;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn named(cloud: &str, file: Option<&Path>) -> Credential {
    let cloud = CloudRef::Named { cloud: cloud.to_owned(), file: file.map(Path::to_path_buf) };
    Credential { cloud, region: None, interface: None }
}

fn read_text(text: &str) -> Result<Cloud, OpenError> {
    let folder = Folder::new();
    let file = folder.write("clouds.yaml", text);
    read(&named("a", Some(&file)), &Places::new(&[], &[]))
}

/// The `auth` of a cloud `a`, and what stands beside it.
fn read_auth(auth: &str, beside: &str) -> Result<Cloud, OpenError> {
    read_text(&format!("clouds:\n  a:\n    auth: {{auth_url: http://k, {auth}}}\n{beside}"))
}

#[test]
fn a_password_has_its_user_and_project_with_their_domains() {
    let auth = "username: u, password: p, project_name: é ü, user_domain_name: D, \
                project_domain_id: d2";
    let Auth::Password { user, password, project } = read_auth(auth, "").unwrap().auth else {
        panic!("not a password")
    };
    assert_eq!(user, User::Name("u".into(), Domain::Name("D".into())));
    assert_eq!(project, Some(Project::Name("é ü".into(), Domain::Id("d2".into()))));
    assert_eq!(password.expose_secret(), "p");
}

#[test]
fn ids_need_no_domain_and_a_name_without_one_is_in_the_default_domain() {
    let by_id = read_auth("user_id: u1, password: p, project_id: p1", "").unwrap();
    let Auth::Password { user, project, .. } = by_id.auth else { panic!("not a password") };
    assert_eq!((user, project), (User::Id("u1".into()), Some(Project::Id("p1".into()))));
    let bare = read_auth("username: u, password: p, tenant_name: t", "").unwrap();
    let Auth::Password { user, project, .. } = bare.auth else { panic!("not a password") };
    let default = || Domain::Id("default".into());
    assert_eq!(user, User::Name("u".into(), default()));
    assert_eq!(project, Some(Project::Name("t".into(), default())));
    let shared = read_auth("username: u, password: p, default_domain_name: X", "").unwrap();
    let Auth::Password { user, .. } = shared.auth else { panic!("not a password") };
    assert_eq!(user, User::Name("u".into(), Domain::Name("X".into())));
}

#[test]
fn an_application_credential_is_named_by_id_or_by_name_and_user() {
    let beside = "    auth_type: v3applicationcredential\n";
    let by_id = "application_credential_id: c1, application_credential_secret: s";
    let Auth::ApplicationCredential { credential, .. } = read_auth(by_id, beside).unwrap().auth
    else {
        panic!("not an application credential")
    };
    assert_eq!(credential, CredentialId::Id("c1".into()));
    let by_name = "application_credential_name: vms, application_credential_secret: s, \
                   username: u, user_domain_name: Default";
    let Auth::ApplicationCredential { credential, .. } = read_auth(by_name, beside).unwrap().auth
    else {
        panic!("not an application credential")
    };
    let user = User::Name("u".into(), Domain::Name("Default".into()));
    assert_eq!(credential, CredentialId::Name("vms".into(), user));
}

#[test]
fn a_token_is_taken_with_and_without_its_word() {
    for beside in ["", "    auth_type: token\n", "    auth_type: v3token\n"] {
        let cloud = read_auth("token: t", beside).unwrap();
        assert!(matches!(cloud.auth, Auth::Token { .. }), "{beside:?}");
    }
}

#[test]
fn an_error_names_the_file_the_entry_and_the_key() {
    let folder = Folder::new();
    let read_it = |body: &str| {
        let file = folder.write("clouds.yaml", &format!("clouds:\n  a: {{{body}}}\n"));
        let error = read(&named("a", Some(&file)), &Places::new(&[], &[])).expect_err("wrong");
        error.to_string()
    };
    let auth = "username: u, password: hunter2";
    let at = format!("cloud 'a' of {}", folder.path().join("clouds.yaml").display());
    for (body, expected) in [
        (format!("auth: {{{auth}}}"), "auth_url is missing"),
        (
            "auth: {auth_url: http://k, password: hunter2}".into(),
            "username (or user_id) is missing",
        ),
        ("auth: {auth_url: http://k, username: u}".into(), "password is missing"),
        (
            format!("auth: {{auth_url: k, {auth}}}"),
            "auth_url is no URL: relative URL without a base",
        ),
        (
            format!("auth: {{auth_url: 'http://u:hunter2@k', {auth}}}"),
            "auth_url must not hold a user or a password",
        ),
        (
            format!("auth: {{auth_url: http://k, {auth}}}, auth_type: v3oidcpassword"),
            "auth_type 'v3oidcpassword' is not known (known: password, v3password, \
             v3applicationcredential, token, v3token)",
        ),
        (
            format!("auth: {{auth_url: http://k, {auth}}}, regions: [R1, R2]"),
            "several regions (R1, R2), choose one with region",
        ),
        (
            format!("auth: {{auth_url: http://k, {auth}}}, verify: perhaps"),
            "verify must be true or false",
        ),
        (
            format!("auth: {{auth_url: http://k, {auth}}}, cacert: /nowhere/ca.pem"),
            "cacert: cannot read /nowhere/ca.pem",
        ),
        (
            format!("auth: {{auth_url: http://k, {auth}}}, identity_api_version: 2.0"),
            "identity_api_version must be 3: there is no other any more",
        ),
    ] {
        assert_eq!(read_it(&body), format!("{at}: {expected}"));
    }
}

#[test]
fn a_cloud_that_is_not_there_is_told_with_those_that_are() {
    let folder = Folder::new();
    let file = folder.write("clouds.yaml", "clouds: {b: {}, c: {}}");
    let error = read(&named("a", Some(&file)), &Places::new(&[], &[])).expect_err("wrong");
    assert_eq!(error.to_string(), format!("{}: no cloud 'a' (there are: b, c)", file.display()));
    let nowhere = read(&named("a", None), &Places::new(&[], &[Path::new("/n")])).err();
    let text = nowhere.expect("wrong").to_string();
    let searched = "/n/clouds.yaml, /n/clouds.yml, /n/clouds.json";
    assert_eq!(text, format!("no clouds.yaml with cloud 'a': looked for {searched}"));
}

#[test]
fn the_address_of_keystone_gets_its_version_once() {
    for written in ["http://k:5000", "http://k:5000/", "http://k:5000/v3", "http://k:5000/v3/"] {
        let text = format!("clouds: {{a: {{auth: {{auth_url: '{written}', token: t}}}}}}");
        assert_eq!(read_text(&text).unwrap().auth_url.as_str(), "http://k:5000/v3");
    }
    for (written, read_as) in [
        ("https://k/identity", "https://k/identity/v3"),
        ("https://k/identity/v3/", "https://k/identity/v3"),
        ("https://k/identity/v2.0", "https://k/identity/v3"),
        ("https://k/v3/auth/tokens", "https://k/v3"),
    ] {
        let text = format!("clouds: {{a: {{auth: {{auth_url: '{written}', token: t}}}}}}");
        assert_eq!(read_text(&text).unwrap().auth_url.as_str(), read_as);
    }
}

#[test]
fn secrets_and_profiles_are_merged_in_their_order_and_the_files_are_told() {
    let folder = Folder::new();
    let main = "clouds: {a: {profile: v, auth: {username: u, project_id: p}, interface: internal}}";
    let main = folder.write("clouds.yaml", main);
    let public = "public-clouds: {v: {auth: {auth_url: 'http://v', username: nobody}, \
                  region_name: R, interface: admin}}";
    let public = folder.write("clouds-public.yaml", public);
    let secure = folder.write("secure.yaml", "clouds: {a: {auth: {password: s}}}");
    let cloud = read(&named("a", Some(&main)), &Places::new(&[], &[])).unwrap();
    let Auth::Password { user, password, .. } = &cloud.auth else { panic!("not a password") };
    assert_eq!(user, &User::Name("u".into(), Domain::Id("default".into())));
    assert_eq!(password.expose_secret(), "s");
    assert_eq!(cloud.region.as_deref(), Some("R"));
    assert_eq!(cloud.interface, "internal");
    assert_eq!(cloud.files, [public, main, secure]);
    assert_eq!(cloud.notices, Vec::<String>::new());
}

#[test]
fn a_profile_that_is_nowhere_is_an_error() {
    let text = "clouds: {a: {profile: citycloud, auth: {auth_url: 'http://k', token: t}}}";
    let error = read_text(text).expect_err("wrong").to_string();
    assert!(error.contains(": profile 'citycloud' is in none of "), "{error}");
}

#[test]
fn an_explicit_file_wins_over_the_standard_places_and_the_environment() {
    let folder = Folder::new();
    let text = |token: &str| {
        format!("clouds: {{a: {{auth: {{auth_url: 'http://{token}', token: {token}}}}}}}")
    };
    let given = folder.write("given/my.yaml", &text("given"));
    let standard = folder.write("standard/clouds.yaml", &text("standard"));
    let variable = folder.write("variable/c.yaml", &text("variable"));
    let variable = variable.to_str().unwrap();
    let dirs = [folder.path().join("none"), standard.parent().unwrap().to_path_buf()];
    let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
    let vars = [("OS_CLIENT_CONFIG_FILE", variable)];
    for (file, vars, host) in [
        (Some(given.as_path()), &vars[..], "given"),
        (None, &vars[..], "variable"),
        (None, &[], "standard"),
    ] {
        let cloud = read(&named("a", file), &Places::new(vars, &dirs)).unwrap();
        assert_eq!(cloud.auth_url.host_str(), Some(host));
    }
}

#[test]
fn a_secret_that_every_user_can_read_is_warned_of_and_an_open_file_without_one_is_not() {
    let folder = Folder::new();
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    };
    let main =
        folder.write("clouds.yaml", "clouds: {a: {auth: {auth_url: 'http://k', username: u}}}");
    let secure = folder.write("secure.yaml", "clouds: {a: {auth: {password: hunter2}}}");
    open(&main);
    let places = Places::new(&[], &[]);
    let quiet = read(&named("a", Some(&main)), &places).unwrap();
    assert_eq!(quiet.notices, Vec::<String>::new());
    open(&secure);
    let warned = read(&named("a", Some(&main)), &places).unwrap();
    let expected = format!("{} holds a secret and every user can read it", secure.display());
    assert_eq!(warned.notices, [expected]);
}

#[test]
fn the_environment_of_an_rc_file_is_a_credential() {
    let vars = [
        ("OS_AUTH_URL", "https://k:5000/v3"),
        ("OS_USERNAME", "u"),
        ("OS_PASSWORD", "p"),
        ("OS_PROJECT_ID", "p1"),
        ("OS_PROJECT_NAME", "ignored where the id is known"),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_REGION_NAME", "R"),
        ("OS_INTERFACE", "publicURL"),
        ("OS_INSECURE", "true"),
        ("OS_TENANT_ID", ""),
    ];
    let credential = Credential { cloud: CloudRef::Environment, region: None, interface: None };
    let cloud = read(&credential, &Places::new(&vars, &[])).unwrap();
    let Auth::Password { user, project, .. } = &cloud.auth else { panic!("not a password") };
    assert_eq!(user, &User::Name("u".into(), Domain::Name("Default".into())));
    assert_eq!(project, &Some(Project::Id("p1".into())));
    assert_eq!(cloud.region.as_deref(), Some("R"));
    assert_eq!(cloud.interface, "public");
    assert_eq!(cloud.tls.verify, Verify::No);
    assert!(cloud.notices[0].contains("verify is off"), "{:?}", cloud.notices);
    assert_eq!(cloud.origin, "the OS_* environment");
}

#[test]
fn os_cloud_names_an_entry_and_the_rest_of_the_environment_only_says_where() {
    let folder = Folder::new();
    folder.write(
        "clouds.yaml",
        "clouds: {a: {auth: {auth_url: 'http://file', token: t}, region_name: R1}}",
    );
    let vars = [
        ("OS_CLOUD", "a"),
        ("OS_AUTH_URL", "http://environment"),
        ("OS_PASSWORD", "p"),
        ("OS_REGION_NAME", "R2"),
    ];
    let credential = Credential { cloud: CloudRef::Environment, region: None, interface: None };
    let cloud = read(&credential, &Places::new(&vars, &[folder.path()])).unwrap();
    assert_eq!(cloud.auth_url.host_str(), Some("file"));
    assert_eq!(cloud.region.as_deref(), Some("R2"));
    assert_eq!(cloud.notices.len(), 1, "{:?}", cloud.notices);
}

#[test]
fn region_and_interface_of_the_configuration_go_before_the_entry() {
    let folder = Folder::new();
    let text = "clouds: {a: {auth: {auth_url: 'http://k', token: t}, regions: [R1, R2]}}";
    let file = folder.write("clouds.yaml", text);
    let mut credential = named("a", Some(&file));
    credential.region = Some("R2".into());
    credential.interface = Some("internal".into());
    let cloud = read(&credential, &Places::new(&[], &[])).unwrap();
    assert_eq!((cloud.region.as_deref(), cloud.interface.as_str()), (Some("R2"), "internal"));
}

#[test]
fn endpoints_may_be_given_by_hand() {
    let beside = "    compute_endpoint_override: http://nova/v2.1\n    \
                  block_storage_endpoint_override: http://cinder/v3\n";
    let cloud = read_auth("token: t", beside).unwrap();
    assert_eq!(cloud.overrides[&Service::Compute].as_str(), "http://nova/v2.1");
    assert_eq!(cloud.overrides[&Service::Volume].as_str(), "http://cinder/v3");
    assert_eq!(cloud.overrides.len(), 2);
}

#[test]
fn nothing_secret_is_shown_by_debug() {
    let cloud = read_auth("username: u, password: hunter2", "").unwrap();
    assert!(!format!("{cloud:?}").contains("hunter2"));
    let error = read_auth("username: u, password: hunter2", "    cert: /n\n").err().unwrap();
    assert!(error.source().is_some());
    assert!(!format!("{error:?}").contains("hunter2"));
}
