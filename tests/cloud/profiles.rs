//! From files and variables to one cloud's settings.

use std::path::Path;

use stackward::cloud::environment::Environment;
use stackward::cloud::profile::{ConfigError, Profile};
use tempfile::TempDir;

/// A machine with a working directory, a home and a site directory.
struct Machine {
    root: TempDir,
    environment: Environment,
}

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = TempDir::new().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let environment = Environment {
            cwd: root.path().join("cwd"),
            home: Some(root.path().join("home")),
            site: root.path().join("etc"),
            ..Environment::default()
        };
        Self { root, environment }
    }

    fn with(mut self, variables: &[(&str, &str)]) -> Self {
        for (name, value) in variables {
            let value = value.replace("ROOT", &self.root.path().display().to_string());
            let _ = self.environment.vars.insert((*name).to_owned(), value);
        }
        self
    }

    fn load(&self, name: Option<&str>) -> Result<Profile, ConfigError> {
        Profile::load(name, &self.environment)
    }

    fn region(&self, name: Option<&str>) -> String {
        self.load(name).unwrap().region.unwrap_or_default()
    }
}

fn cloud(name: &str, region: &str) -> String {
    format!(
        "clouds:\n  {name}:\n    region_name: {region}\n    auth:\n      auth_url: http://k.example/v3\n      username: u\n      password: p\n"
    )
}

#[test]
fn the_first_file_in_the_order_of_openstacksdk_wins() {
    let places = [
        "given/my.yaml",
        "cwd/clouds.yaml",
        "cwd/clouds.yml",
        "cwd/clouds.json",
        "home/.config/openstack/clouds.yaml",
        "etc/clouds.yaml",
        "etc/clouds.yml",
    ];
    for first in 0..places.len() {
        let files: Vec<(&str, String)> = places[first..]
            .iter()
            .enumerate()
            .map(|(place, path)| {
                let text = cloud("c", &format!("region-{}", first + place));
                // JSON is YAML, but not the other way round.
                let json = format!(r#"{{"clouds": {{"c": {{"region_name": "region-{}", "auth": {{"auth_url": "http://k", "username": "u", "password": "p"}}}}}}}}"#, first + place);
                (*path, if path.ends_with("json") { json } else { text })
            })
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let machine = Machine::new(&files).with(&[("OS_CLIENT_CONFIG_FILE", "ROOT/given/my.yaml")]);
        assert_eq!(
            machine.region(Some("c")),
            format!("region-{first}"),
            "from {}",
            places[first]
        );
    }
    let xdg = Machine::new(&[("xdg/openstack/clouds.yaml", &cloud("c", "there"))]);
    assert_eq!(
        xdg.with(&[("XDG_CONFIG_HOME", "ROOT/xdg")])
            .region(Some("c")),
        "there"
    );
}

#[test]
fn profile_cloud_secrets_and_region_are_laid_over_each_other() {
    let machine = Machine::new(&[
        (
            "etc/clouds-public.yaml",
            "public-clouds:\n  vendor:\n    auth: {auth_url: 'https://{region_name}.vendor.example/v3', user_domain_name: V}\n    interface: internal\n    image_endpoint_override: http://vendor.example/image\n",
        ),
        (
            "cwd/clouds.yaml",
            "clouds:\n  c:\n    profile: vendor\n    auth: {username: u, password: from-clouds, project_name: 'p-{region_name}'}\n    regions:\n    - {name: one, values: {interface: admin}}\n    - two\n",
        ),
        (
            "home/.config/openstack/secure.yaml",
            "clouds:\n  c:\n    auth: {password: 'from-secure-{region_name}'}\n",
        ),
    ]);
    let profile = machine.load(None).unwrap();
    assert_eq!(profile.region.as_deref(), Some("one"), "the first region");
    assert_eq!(
        profile.auth_url.as_ref().unwrap().as_str(),
        "https://one.vendor.example/v3"
    );
    assert_eq!(profile.interfaces, ["admin"], "the region's own value");
    let origin = |key: &str| {
        let origin = profile.origins()[key].to_string();
        Path::new(&origin)
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(origin("auth.password"), "secure.yaml:3:22");
    assert_eq!(origin("auth.username"), "clouds.yaml:4:22");
    assert_eq!(origin("auth.user_domain_name"), "clouds-public.yaml:3:83");
    assert_eq!(origin("image_endpoint_override"), "clouds-public.yaml:5:30");
}

#[test]
fn no_cloud_named_means_os_cloud_then_the_variables_then_the_only_one() {
    let two = format!(
        "{}{}",
        cloud("a", "in-a"),
        cloud("b", "in-b").replace("clouds:\n", "")
    );
    let machine = || Machine::new(&[("cwd/clouds.yaml", &two)]);
    let variables = [
        ("OS_AUTH_URL", "http://k.example/v3"),
        ("OS_USERNAME", "u"),
        ("OS_PASSWORD", "p"),
        ("OS_TENANT_NAME", "t"),
        ("OS_REGION_NAME", "in-env"),
    ];
    assert_eq!(machine().region(Some("b")), "in-b");
    assert_eq!(machine().with(&[("OS_CLOUD", "b")]).region(None), "in-b");
    assert_eq!(
        machine().with(&[("OS_CLOUD", "b")]).region(Some("a")),
        "in-a"
    );
    assert_eq!(machine().with(&variables).region(None), "in-env");
    // Never mixed into a cloud that has a name.
    assert_eq!(machine().with(&variables).region(Some("a")), "in-a");
    let profile = machine().with(&variables).load(None).unwrap();
    assert_eq!(profile.name, "envvars");
    assert_eq!(profile.origins()["password"].to_string(), "$OS_PASSWORD");
    // Selectors alone are no cloud.
    let only = Machine::new(&[("etc/clouds.yaml", &cloud("c", "here"))]);
    assert_eq!(
        only.with(&[("OS_REGION_NAME", "x"), ("OS_LOG_FILE", "y")])
            .region(None),
        "here"
    );
}

#[test]
fn a_cloud_that_is_not_there_is_told_with_those_that_are() {
    let two = format!(
        "{}{}",
        cloud("prod", "r"),
        cloud("stage", "r").replace("clouds:\n", "")
    );
    let machine = Machine::new(&[("cwd/clouds.yaml", &two)]);
    let none = machine.load(None).unwrap_err();
    assert!(
        none.to_string().contains("no cloud is named") && none.to_string().contains("several"),
        "{none}"
    );
    assert!(none.hint().unwrap().contains("prod, stage"), "{none:?}");
    let wrong = machine.load(Some("prodd")).unwrap_err();
    assert!(
        wrong.to_string().starts_with("cloud `prodd` is not in "),
        "{wrong}"
    );
    assert_eq!(
        wrong.hint().unwrap(),
        "did you mean `prod`? the clouds there are: prod, stage"
    );
    let nothing = Machine::new(&[]).load(None).unwrap_err();
    assert!(nothing.to_string().contains("looked in "), "{nothing}");
    assert!(
        nothing.hint().unwrap().contains("OS_AUTH_URL"),
        "{nothing:?}"
    );
}

#[test]
fn names_with_hyphens_old_names_and_values_outside_of_auth_are_understood() {
    let text = "clouds:\n  c:\n    auth-url: http://k.example/v3\n    user-name: u\n    endpoint_type: [internalURL, public]\n    auth: {password: p, tenant-name: t}\n    api-timeout: 7\n";
    let profile = Profile::from_clouds_yaml(text, "c", None, &Environment::default()).unwrap();
    assert_eq!(profile.interfaces, ["internal", "public"]);
    assert_eq!(profile.timeout.unwrap().as_secs(), 7);
    assert_eq!(
        profile.origins()["auth.project_name"].to_string(),
        "clouds.yaml:6:38"
    );
}

#[test]
fn values_stay_what_was_written() {
    let text = "x: &base {region_name: 0o17}\nclouds:\n  c:\n    <<: *base\n    auth: {auth_url: 'http://k', username: yes, password: 007, project_id: 1e5}\n    networks: [{name: a, default_interface: true}]\n    unknown: {deep: [1]}\n";
    // The base is not ours to read, but an anchor in it is.
    let profile = Profile::from_clouds_yaml(text, "c", None, &Environment::default()).unwrap();
    assert_eq!(profile.region.as_deref(), Some("0o17"));
    assert!(format!("{profile:?}").contains("\"1e5\""), "{profile:?}");
    assert!(format!("{profile:?}").contains("\"yes\""), "{profile:?}");
    assert!(!format!("{profile:?}").contains("007"), "{profile:?}");
}

#[test]
fn mistakes_are_told_with_their_place_and_without_secrets() {
    let auth = "auth: {auth_url: 'http://k.example', username: u, password: hush-hush}";
    for (text, message) in [
        (
            format!("clouds:\n  c:\n    {auth}\n   bad\n"),
            "clouds.yaml:4",
        ),
        (
            format!("clouds:\n  c:\n    {auth}\n    verify: maybe\n"),
            "clouds.yaml:4:13: `verify` is neither true nor false",
        ),
        (
            format!("clouds:\n  c:\n    {auth}\n    api_timeout: soon\n"),
            "clouds.yaml:4:18: `api_timeout` is no number",
        ),
        (
            format!("clouds:\n  c:\n    {auth}\n    region_name: x\n    regions: [y, z]\n"),
            "clouds.yaml:4:18: region `x` is not one of `regions`",
        ),
        (
            format!("clouds:\n  c:\n    {auth}\n    network_endpoint_override: nowhere\n"),
            "clouds.yaml:4:32: `network_endpoint_override` is no http(s) address",
        ),
        (
            format!("clouds:\n  c:\n    {auth}\n    profile: vendor\n"),
            "clouds.yaml:4:14: `profile` cannot be used in a Secret",
        ),
        (
            format!("clouds:\n  c:\n    {auth}\n    {auth}\n"),
            "clouds.yaml:4:5: duplicate",
        ),
        (
            "clouds:\n  c:\n    auth: {auth_url: 'http://k', username: [hush-hush]}\n".to_owned(),
            "clouds.yaml:3:",
        ),
        (
            "clouds:\n  c:\n    auth: {username: u, password: hush-hush}\n".to_owned(),
            "cloud `c`: there is no `auth_url`",
        ),
        ("clouds: [hush-hush]\n".to_owned(), "clouds.yaml:1:"),
    ] {
        let error =
            Profile::from_clouds_yaml(&text, "c", None, &Environment::default()).unwrap_err();
        assert!(error.to_string().starts_with(message), "{text}\n{error}");
        let shown = format!("{error} {error:?} {:?}", error.hint());
        assert!(!shown.contains("hush-hush"), "{shown}");
    }
}

#[test]
fn a_vendor_profile_may_be_deprecated_shut_down_or_missing() {
    let public = "public-clouds:\n  old: {status: deprecated, message: use new}\n  gone: {status: shutdown, message: it was nice}\n";
    let with = |profile: &str| {
        let text = format!("{}    profile: {profile}\n", cloud("c", "r"));
        Machine::new(&[
            ("etc/clouds-public.yaml", public),
            ("cwd/clouds.yaml", &text),
        ])
        .load(None)
    };
    assert_eq!(
        with("old").unwrap().warnings,
        ["profile `old` is deprecated: use new"]
    );
    let gone = with("gone").unwrap_err();
    assert!(
        gone.to_string()
            .contains("`gone` is shut down: it was nice"),
        "{gone}"
    );
    let missing = with("rackspace").unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("profile `rackspace` is not in"),
        "{missing}"
    );
    assert!(
        missing.hint().unwrap().contains("clouds-public.yaml"),
        "{missing:?}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_passed_over_with_a_warning() {
    let machine = Machine::new(&[
        // A directory where a file should be.
        ("cwd/clouds.yaml/x", ""),
        ("etc/clouds.yaml", &cloud("c", "fallback")),
    ]);
    let profile = machine.load(None).unwrap();
    assert_eq!(profile.region.as_deref(), Some("fallback"));
    assert!(
        profile.warnings[0].contains("passed over"),
        "{:?}",
        profile.warnings
    );
}

#[test]
fn use_without_verification_is_warned_of() {
    for line in ["verify: false", "insecure: true"] {
        let text = format!("{}    {line}\n", cloud("c", "r"));
        let profile = Profile::from_clouds_yaml(&text, "c", None, &Environment::default()).unwrap();
        assert!(
            profile.warnings[0].contains("without verification"),
            "{:?}",
            profile.warnings
        );
    }
}
