//! What a person is told about bad manifests: one file of `tests/bad` each, and the text beside it.
//!
//! `UPDATE=1 cargo test --test manifests` rewrites the texts; read the difference before it is
//! committed.

use std::path::{Path, PathBuf};

use stackward::manifest::parse::{Kinds, Shape, parse};
use stackward::manifest::problem::{Code, Hides, Problem};
use stackward::manifest::{
    Adopt, CloudRef, Content, Group, Management, Manifest, OnDelete, Permission, Replace,
};

const KINDS: Kinds<'static> = Kinds(&[
    ("Network", Shape::Enveloped),
    ("RouterInterface", Shape::Flat),
    ("Server", Shape::Enveloped),
    ("Volume", Shape::Enveloped),
]);

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

/// What was understood, and what is said about the rest.
fn told(file: &str, text: &str) -> String {
    let (manifests, problems) = parse(file, text, KINDS);
    let mut told = String::new();
    for manifest in manifests {
        told += &format!("read: {} at {}\n", manifest.key.short(), manifest.origin);
    }
    for problem in problems {
        told += &format!("\n{}", problem.render(Some(text)));
        told += match problem.hides {
            Hides::Nothing => "",
            Hides::Object => "(holds up this object)\n",
            Hides::Unknown => "(may hide any object)\n",
        };
    }
    told.trim_start().to_owned()
}

#[test]
fn bad_manifests_are_explained() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "txt"))
        .collect();
    files.sort();
    let mut different = Vec::new();
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let told = told(name, &std::fs::read_to_string(path).unwrap());
        let expected = path.with_extension("txt");
        if update {
            std::fs::write(&expected, &told).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != told {
            different.push(format!("--- {name}\n{told}"));
        }
    }
    assert!(files.len() >= 30, "only {} bad manifests", files.len());
    assert!(
        different.is_empty(),
        "told differently now:\n{}",
        different.join("\n")
    );
}

fn one(text: &str) -> Manifest {
    let (mut manifests, problems) = parse("a.yaml", text, KINDS);
    assert_eq!(problems, []);
    assert_eq!(manifests.len(), 1);
    manifests.remove(0)
}

fn codes(file: &str, text: &str) -> Vec<Code> {
    parse(file, text, KINDS)
        .1
        .iter()
        .map(|problem| problem.code)
        .collect()
}

const HEAD: &str =
    "apiVersion: stackward.dev/v1alpha1\nkind: Server\nmetadata: {name: db}\nspec:\n";

#[test]
fn a_full_native_manifest_is_read() {
    let manifest = one("apiVersion: stackward.dev/v1alpha1
kind: Server
metadata: {name: db, namespace: team, labels: {a: b}, annotations: {stackward.dev/protect: 'true'}}
spec:
  cloud: lab
  managedOptions: {onDelete: detach}
  resyncPeriod: 1h30m
  suspend: true
  adopt: {byName: true}
  lifecycle:
    replace: CreateFirst
    ignoreChanges: [/spec/resource/metadata]
    deadline: 45s
  resource:
    flavorRef: {id: small}
");
    assert_eq!(manifest.key.to_string(), "Server/team/db");
    assert_eq!(manifest.group, Group::Native);
    let policy = &manifest.policy;
    assert_eq!(policy.cloud, CloudRef::Named("lab".to_owned()));
    assert_eq!(policy.management, Management::Managed);
    assert_eq!(policy.on_delete, OnDelete::Detach);
    assert_eq!(
        policy.resync_period.map(|period| period.as_secs()),
        Some(5400)
    );
    assert!(policy.suspend && policy.protect);
    assert_eq!(policy.adopt, Some(Adopt::ByName));
    assert_eq!(policy.lifecycle.replace, Replace::CreateFirst);
    assert_eq!(policy.lifecycle.ignore_changes, ["/spec/resource/metadata"]);
    assert_eq!(policy.lifecycle.deadline.as_secs(), 45);
    assert_eq!(
        manifest.place("/spec/resource/flavorRef/id").to_string(),
        "a.yaml:15:21"
    );
    assert_eq!(manifest.base, "/spec/resource");
}

#[test]
fn a_manifest_of_orc_is_read_unchanged() {
    let manifest = one("apiVersion: openstack.k-orc.cloud/v1alpha1
kind: Network
metadata: {name: public}
spec:
  cloudCredentialsRef: {secretName: creds, cloudName: openstack}
  managementPolicy: unmanaged
  import:
    filter: {name: public, external: true}
");
    assert_eq!(manifest.group, Group::Orc);
    assert_eq!(manifest.policy.management, Management::Unmanaged);
    // What ORC calls immutable is not changed by an interruption that nobody gave leave for.
    assert_eq!(manifest.policy.lifecycle.disrupt, Permission::Deny);
    let secret = CloudRef::Secret {
        name: "creds".to_owned(),
        cloud: "openstack".to_owned(),
    };
    assert_eq!(manifest.policy.cloud, secret);
    let Content::Import(import) = &manifest.content else {
        panic!("{:?}", manifest.content)
    };
    assert_eq!(
        import.filter,
        Some(serde_json::json!({"name": "public", "external": true}).into())
    );
    assert_eq!(manifest.base, "/spec/import/filter");

    let interface = one("apiVersion: openstack.k-orc.cloud/v1alpha1
kind: RouterInterface
metadata: {name: blog}
spec: {type: Subnet, routerRef: blog, subnetRef: blog, resyncPeriod: 0}
");
    let Content::Resource(value) = &interface.content else {
        panic!("no resource")
    };
    assert_eq!(
        value.value(),
        serde_json::json!({"type": "Subnet", "routerRef": "blog", "subnetRef": "blog"})
    );
    assert_eq!(
        interface.policy.resync_period,
        Some(std::time::Duration::ZERO)
    );
    assert_eq!(
        interface.place("/spec/routerRef").to_string(),
        "a.yaml:4:33"
    );
}

#[test]
fn in_the_native_group_an_import_alone_is_unmanaged() {
    let manifest = one(&format!("{HEAD}  import: {{id: 5a1f}}\n"));
    assert_eq!(manifest.policy.management, Management::Unmanaged);
    let Content::Import(import) = manifest.content else {
        panic!("no import")
    };
    assert_eq!((import.id.as_deref(), import.filter), (Some("5a1f"), None));
}

#[test]
fn secrets_and_config_maps_are_decoded_and_never_printed() {
    let secret = one("apiVersion: v1
kind: Secret
metadata: {name: s}
type: Opaque
data:
  a: |
    aHVudGVy
    Mg==
  b: b2xk
stringData: {b: hunter3}
");
    let Content::Data(data) = &secret.content else {
        panic!("no data")
    };
    assert_eq!(data["b"].expose_text(), Some("hunter3"));
    assert!(!format!("{secret:?}").contains("hunter"));
    let map = one(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: plain}\n\
         binaryData: {b: AP8=}\n",
    );
    let Content::Data(data) = &map.content else {
        panic!("no data")
    };
    assert_eq!(data["a"].expose(), b"plain");
    assert_eq!(data["b"].expose(), [0, 255]);
}

#[test]
fn no_problem_of_a_secret_shows_its_value() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
    for text in [
        format!("{secret}data: {{a: hunter2!}}\n"),
        format!("{secret}data: hunter2\n"),
        format!("{secret}stringData: {{a: [hunter2]}}\n"),
        format!("{secret}stringData:\n  a: hunter2\n\tb: 1\n"),
        format!("{secret}stringData: {{a: \"hunter2}}\n"),
        format!("{secret}stringData: {{a: 'x', a: hunter2}}\n"),
        format!("{secret}stringdata: {{a: hunter2}}\n"),
        "{\"kind\": \"Secret\", \"stringData\": {\"a\": \"hunter2\",}}".to_owned(),
    ] {
        let (manifests, problems) = parse("s.yaml", &text, KINDS);
        assert!(manifests.is_empty() && !problems.is_empty(), "{text}");
        for problem in problems {
            let shown = format!("{problem}\n{}\n{problem:?}", problem.render(Some(&text)));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn one_bad_document_does_not_take_the_others_along() {
    let good = |name: &str| format!("{}  resource: {{}}\n", HEAD.replace("db", name));
    for bad in [
        "a: [\n",
        "\ta: 1\n",
        "'\n",
        "a: 1\na: 2\n",
        "just text\n",
        "*x\n",
        "%\n",
    ] {
        let text = format!("{}---\n{bad}---\n{}", good("one"), good("two"));
        let (manifests, problems) = parse("a.yaml", &text, KINDS);
        let names: Vec<&str> = manifests
            .iter()
            .map(|manifest| &*manifest.key.name)
            .collect();
        assert_eq!(names, ["one", "two"], "{bad}");
        assert_eq!(
            manifests[1].origin.line,
            8 + u32::try_from(bad.lines().count()).unwrap()
        );
        assert!(
            problems
                .iter()
                .all(|problem| problem.hides == Hides::Unknown),
            "{bad}"
        );
        let line = problems
            .first()
            .and_then(|problem| problem.origin.as_ref())
            .unwrap()
            .line;
        assert!((6..=9).contains(&line), "{bad} at {line}");
    }
}

#[test]
fn empty_files_and_documents_are_nothing() {
    for text in [
        "",
        "\n",
        "# only a comment\n",
        "---\n",
        "---\n---\n# x\n...\n",
        "null\n",
        "\u{feff}",
    ] {
        let (manifests, problems) = parse("a.yaml", text, KINDS);
        assert!(
            manifests.is_empty() && problems.is_empty(),
            "{text:?} {problems:?}"
        );
    }
}

#[test]
fn json_is_read_by_its_extension_and_by_its_content() {
    let text = "{\"apiVersion\": \"stackward.dev/v1alpha1\", \"kind\": \"Server\",\n \"metadata\": \
                {\"name\": \"db\"},\n\t\"spec\": {\"resource\": {}}}\n";
    for file in ["a.json", "a.yaml"] {
        let (manifests, problems) = parse(file, text, KINDS);
        assert_eq!(problems, []);
        assert_eq!(
            manifests[0].place("/metadata/name").to_string(),
            format!("{file}:2:23")
        );
    }
    let flow = "{apiVersion: stackward.dev/v1alpha1, kind: Server, metadata: {name: db}, spec: \
                {resource: {}}}";
    assert_eq!(codes("a.yaml", flow), []);
    assert_eq!(codes("a.json", flow), [Code::BadJson]);
}

#[test]
fn what_would_take_too_much_memory_or_stack_is_refused() {
    let huge = format!("a: \"{}\"\n", "x".repeat(9 * 1024 * 1024));
    let wide = format!("a: [{}]\n", "1,".repeat(260_000));
    for text in [&huge, &wide, &"[".repeat(100_000), &"- ".repeat(100_000)] {
        let (manifests, problems) = parse("a.yaml", text, KINDS);
        assert!(manifests.is_empty());
        let is_told = |problem: &Problem| matches!(problem.code, Code::TooLarge | Code::BadYaml);
        assert!(problems.iter().any(is_told), "{problems:?}");
    }
    assert_eq!(codes("a.json", &"[".repeat(100_000)), [Code::BadJson]);
}

#[test]
fn the_same_manifest_written_otherwise_says_the_same() {
    let manifest = one(&format!("{HEAD}  resource: {{a: 1, b: [x]}}\n"));
    let moved = one(&format!(
        "# a\n---\n{HEAD}  # b\n  resource:\n    b:\n    - x\n    a: 1\n"
    ));
    let other = one(&format!("{HEAD}  resource: {{a: 2, b: [x]}}\n"));
    assert!(manifest.says_the_same(&moved) && manifest != moved);
    assert!(!manifest.says_the_same(&other));
}

proptest::proptest! {
    /// Whatever is in a file, parsing ends and each problem has its place in that file.
    #[test]
    fn no_text_brings_the_parser_down(
        start in 0..400_usize,
        length in 0..40_usize,
        inserted in "[a-c:{}\\[\\]&*!|>'\"%@`#?,\\- \t\n\u{0}\u{e9}\u{1F600}]{0,12}",
        json: bool,
    ) {
        let file = if json { "a.json" } else { "a.yaml" };
        let text = if json {
            std::fs::read_to_string(directory().join("06-duplicate-key.json")).unwrap()
        } else {
            std::fs::read_to_string(directory().join("32-list-with-bad-items.yaml")).unwrap()
        };
        let before: String = text.chars().take(start).collect();
        let after: String = text.chars().skip(start + length).collect();
        let text = format!("{before}{inserted}{after}");
        let lines = u32::try_from(text.split('\n').count()).unwrap();
        for problem in parse(file, &text, KINDS).1 {
            let origin = problem.origin.clone().unwrap();
            proptest::prop_assert!(origin.line >= 1 && origin.line <= lines, "{}", problem);
            proptest::prop_assert!(problem.render(Some(&text)).contains(file));
        }
    }
}

/// A file that is being written may be read half: what is missing must not look deleted.
#[test]
fn a_manifest_that_is_cut_off_anywhere_still_counts_as_there() {
    let text = "# the database\napiVersion: stackward.dev/v1alpha1\nkind: Server\nmetadata:\n  \
                name: blog-db\nspec:\n  resource:\n    flavorRef: small\n";
    let key = "Server/blog-db".parse().unwrap();
    for end in "# the database\n".len() + 1..=text.len() {
        let (manifests, problems) = parse("a.yaml", &text[..end], KINDS);
        let is_there = manifests.iter().any(|manifest| manifest.key == key);
        let is_hidden = problems.iter().any(|problem| problem.may_hide(&key));
        assert!(
            is_there || is_hidden,
            "{:?} {manifests:?} {problems:?}",
            &text[..end]
        );
    }
}

#[test]
fn what_a_file_says_cannot_steer_the_terminal() {
    let text =
        "apiVersion: \"\\e[2J\"\nkind: \"S\\e[31m\"\nmetadata: {name: \"\\a\", \"\\e[1m\": 1}\n";
    let (_, problems) = parse("a.yaml", text, KINDS);
    assert!(problems.len() >= 3);
    for problem in problems {
        let shown = format!("{problem}{}", problem.render(Some(text)));
        assert!(
            !shown.chars().any(|c| c.is_control() && c != '\n'),
            "{shown:?}"
        );
    }
}
