//! What a manifest may say of a server, and what is complained about.

use super::*;
use crate::kinds::find;
use crate::kinds::testing::accept;
use crate::manifest::problem::Code;

#[test]
fn every_reference_is_visited_at_its_place() {
    let mut wanted = spec(json!({
        "imageRef": "i", "flavorRef": "f", "keypairRef": "k", "ports": [{"portRef": "p"}],
        "bootVolume": {"volumeRef": "b"}, "networks": [{"networkRef": "n"}],
        "securityGroupRefs": ["g"], "volumes": [{"volumeRef": "v"}],
        "schedulerHints": {"serverGroupRef": "g", "differentHostServerRefs": ["s"], "sameHostServerRefs": ["t"]},
        "userData": {"templateFile": "t.sh", "values": {"a/b": {"value": "1"}}}
    }));
    let before = serde_json::to_value(&wanted).unwrap();
    let mut pointers = Vec::new();
    Server::needs(&mut wanted, &mut |need| {
        if let crate::kinds::need::What::Object { kind, reference } = &need.what {
            let name = serde_json::to_value(&**reference).unwrap();
            assert_eq!(
                before.pointer(&need.pointer),
                Some(&name),
                "{}",
                need.pointer
            );
            assert!(find(kind).is_some() || *kind == "SecurityGroup", "{kind}");
        }
        pointers.push(need.pointer);
    });
    assert_eq!(
        pointers,
        [
            "/imageRef",
            "/bootVolume/volumeRef",
            "/flavorRef",
            "/keypairRef",
            "/ports/0/portRef",
            "/networks/0/networkRef",
            "/securityGroupRefs/0",
            "/volumes/0/volumeRef",
            "/schedulerHints/serverGroupRef",
            "/schedulerHints/differentHostServerRefs/0",
            "/schedulerHints/sameHostServerRefs/0",
            "/userData/templateFile",
            "/userData/values/a~1b"
        ]
    );
}

#[test]
fn what_is_wrong_is_complained_about_where_it_stands() {
    let long = "x".repeat(256);
    for (changes, pointers) in [
        (json!({}), vec![]),
        (json!({"imageRef": null}), vec![""]),
        (
            json!({"bootVolume": {"volumeRef": "v"}}),
            vec!["/bootVolume"],
        ),
        (json!({"networks": null}), vec![""]),
        (json!({"ports": []}), vec!["/networks"]),
        (
            json!({"networks": null, "ports": [{"portRef": "p"}, {"portRef": "p"}]}),
            vec!["/ports/1/portRef"],
        ),
        (
            json!({"networks": null, "ports": [], "securityGroupRefs": ["g"]}),
            vec!["/securityGroupRefs"],
        ),
        (
            json!({"networks": "none", "securityGroupRefs": ["g"]}),
            vec!["/securityGroupRefs"],
        ),
        (json!({"securityGroupRefs": ["g"]}), vec![]),
        (
            json!({"volumes": [
                {"volumeRef": "a", "device": "/dev/vdb"}, {"volumeRef": "a", "device": "vdc"},
                {"volumeRef": "c", "device": "/dev/vda"}, {"volumeRef": "d", "device": "/dev/vdb"}
            ]}),
            vec![
                "/volumes/1/volumeRef",
                "/volumes/1/device",
                "/volumes/2/device",
                "/volumes/3/device",
            ],
        ),
        (
            json!({"imageRef": null, "bootVolume": {"volumeRef": "a"},
                   "volumes": [{"volumeRef": "a"}]}),
            vec!["/volumes/0/volumeRef"],
        ),
        (
            json!({"metadata": [
                {"key": "stackward.x", "value": ""}, {"key": "a/b", "value": ""},
                {"key": "k", "value": "1"}, {"key": "l", "value": long}
            ]}),
            vec!["/metadata/0/key", "/metadata/1/key", "/metadata/3/value"],
        ),
        (
            json!({"tags": ["ok", "a,b", ""]}),
            vec!["/tags/1", "/tags/2"],
        ),
        (
            json!({"schedulerHints": {"buildNearHostIP": "192.0.2.1"}}),
            vec!["/schedulerHints/buildNearHostIP"],
        ),
    ] {
        let found: Vec<String> = Server::check(&spec(with(changes.clone())))
            .into_iter()
            .map(|it| it.pointer)
            .collect();
        assert_eq!(found, pointers, "{changes}");
    }
}

#[test]
fn what_two_references_turn_out_to_mean_is_one_volume() {
    let volumes = |two: &str| {
        let mut wanted = spec(with(json!({"volumes": [
            {"volumeRef": {"id": "v"}}, {"volumeRef": {"id": two}, "device": "/dev/vdc"}
        ]})));
        Server::fill(&mut wanted, &Inputs::default()).map_err(|it| it.message)
    };
    assert!(volumes("w").is_ok());
    assert_eq!(volumes("v").unwrap_err(), "the volume is named twice");
}

#[test]
fn the_manifests_of_the_blog_are_understood() {
    for text in [
        include_str!("../../../../manifests/wordpress/20-image.yaml"),
        include_str!("../../../../manifests/wordpress/30-volume.yaml"),
        include_str!("../../../../manifests/wordpress/50-keypair.yaml"),
        include_str!("../../../../manifests/wordpress/60-db.yaml"),
        include_str!("../../../../manifests/wordpress/70-blog.yaml"),
    ] {
        assert!(!accept(text).unwrap().needs.is_empty());
    }
}

#[test]
fn what_orc_does_not_have_is_refused_in_its_group() {
    let manifest = |group: &str, resource: &str| {
        format!(
            "apiVersion: {group}\nkind: Server\nmetadata: {{name: s}}\nspec:\n  \
                 cloudCredentialsRef: {{secretName: a, cloudName: b}}\n  resource: {resource}\n"
        )
    };
    let orc = "{imageRef: i, flavorRef: f, ports: [{portRef: p}], userData: {secretRef: s}}";
    let native = "{imageRef: i, flavorRef: f, networks: auto, description: d, \
                  userData: {inline: a}}";
    for (group, resource, codes) in [
        ("openstack.k-orc.cloud/v1alpha1", orc, vec![]),
        (
            "openstack.k-orc.cloud/v1alpha1",
            native,
            [vec![Code::NativeField; 3], vec![Code::MissingField]].concat(),
        ),
        ("stackward.dev/v1alpha1", orc, vec![]),
        ("stackward.dev/v1alpha1", native, vec![]),
    ] {
        let problems = accept(&manifest(group, resource)).err().unwrap_or_default();
        let found: Vec<Code> = problems.iter().map(|it| it.code).collect();
        assert_eq!(found, codes, "{group}: {problems:?}");
    }
}
