//! What a server is told at its first boot: where it comes from, its limit, and that it never shows.

use secrecy::{ExposeSecret, SecretString};

use super::*;

fn texts(texts: &[(&str, &str)]) -> Inputs {
    let texts = texts
        .iter()
        .map(|(pointer, text)| ((*pointer).to_owned(), SecretString::from(*text)))
        .collect();
    Inputs {
        texts,
        ..Inputs::default()
    }
}

fn filled(user_data: Value, inputs: &Inputs) -> Result<(Spec, String), Refusal> {
    let mut wanted = spec(with(json!({ "userData": user_data })));
    let material = Server::fill(&mut wanted, inputs)?;
    Ok((wanted, material.0["userData"].expose_secret().to_owned()))
}

fn complaints(user_data: Value) -> Vec<(String, String, Option<String>)> {
    Server::check(&spec(with(json!({ "userData": user_data }))))
        .into_iter()
        .map(|it| (it.pointer, it.message, it.hint))
        .collect()
}

#[test]
fn every_source_becomes_base64() {
    let secret = json!({"secretKeyRef": {"name": "s", "key": "k"}});
    for (user_data, inputs, encoded) in [
        (json!({"inline": "a"}), texts(&[]), "YQ=="),
        (
            json!({"file": "f"}),
            texts(&[("/userData/file", "a")]),
            "YQ==",
        ),
        (
            json!({"secretRef": "s"}),
            texts(&[("/userData/secretRef", "a")]),
            "YQ==",
        ),
        (
            json!({"template": "{{ a }}{{ b }}", "values": {"a": {"value": 1}, "b": secret}}),
            texts(&[("/userData/values/b", "2")]),
            "MTI=",
        ),
        (
            json!({"templateFile": "f", "values": {"a": {"value": "1"}},
                   "delimiters": ["[[", "]]"]}),
            texts(&[("/userData/templateFile", "[[ a ]]{{")]),
            "MXt7",
        ),
    ] {
        assert_eq!(
            filled(user_data.clone(), &inputs).unwrap().1,
            encoded,
            "{user_data}"
        );
    }
}

#[test]
fn nothing_of_it_shows_but_its_digest() {
    let user_data = json!({"template": "password={{ p }}",
        "values": {"p": {"secretKeyRef": {"name": "s", "key": "k"}}}});
    let inputs = texts(&[("/userData/values/p", "hunter2")]);
    let mut wanted = spec(with(json!({ "userData": user_data })));
    let material = Server::fill(&mut wanted, &inputs).unwrap();
    let value = serde_json::to_value(&wanted).unwrap();
    let digest = "40e7a3b0ef4fd0c0b4ab3a43f5ecfa63";
    assert_eq!(value["userData"].as_object().unwrap().len(), 1);
    assert_eq!(
        value["userData"]["sha256"].as_str().unwrap().len(),
        2 * digest.len()
    );
    let encoded = material.0["userData"].expose_secret();
    let birth = birth("s", &material);
    let call = Server::create(&spec(value.clone()), &birth);
    for shown in [
        format!("{wanted:?}"),
        value.to_string(),
        format!("{material:?}"),
        format!("{call:?}"),
    ] {
        assert!(
            !shown.contains("hunter2") && !shown.contains(encoded),
            "{shown}"
        );
    }
    let Body::Json(body) = call.body else {
        panic!("no JSON")
    };
    assert_eq!(body["server"]["user_data"], encoded);
    assert_eq!(
        body["server"]["metadata"][USER_DATA_KEY],
        value["userData"]["sha256"]
    );
}

#[test]
fn the_digest_is_that_of_the_text() {
    let (wanted, _) = filled(json!({"inline": "abc"}), &texts(&[])).unwrap();
    assert_eq!(
        wanted.user_data.unwrap().sha256.unwrap(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn a_spec_that_was_filled_can_be_filled_again() {
    let (mut wanted, _) = filled(json!({"inline": "abc"}), &texts(&[])).unwrap();
    let before = wanted.clone();
    assert!(
        Server::fill(&mut wanted, &Inputs::default())
            .unwrap()
            .0
            .is_empty()
    );
    assert_eq!(wanted, before);
}

#[test]
fn what_nova_would_refuse_is_refused_here() {
    let fits = "x".repeat(49_149);
    assert_eq!(
        filled(json!({ "inline": fits }), &texts(&[]))
            .unwrap()
            .1
            .len(),
        65_532
    );
    let over = "x".repeat(49_150);
    let message = "user data of 49150 bytes is 65536 bytes in base64, and Nova takes 65535 \
                   (49149 of text)";
    let inputs = texts(&[("/userData/file", &over)]);
    assert_eq!(
        filled(json!({"file": "f"}), &inputs).unwrap_err().message,
        message
    );
    // Where it can be known, it is said when the manifest is read.
    for field in ["inline", "template"] {
        let found = complaints(json!({ field: over }));
        let expected = (format!("/userData/{field}"), message.to_owned(), None);
        assert_eq!(found, [expected]);
    }
}

#[test]
fn a_template_that_cannot_be_rendered_is_refused_without_its_values() {
    let user_data = json!({"templateFile": "db.sh", "values": {"a": {"value": "hunter2"}}});
    let inputs = texts(&[("/userData/templateFile", "{{ a }}\n{{ b }}")]);
    let refusal = filled(user_data, &inputs).unwrap_err();
    assert_eq!(
        refusal.message,
        "user data: db.sh: line 2 of the template: undefined variable `b`"
    );
    let refusal = filled(json!({"file": "f"}), &texts(&[])).unwrap_err();
    assert_eq!(
        refusal.message,
        "user data: userData/file could not be read"
    );
}

#[test]
fn undeclared_variables_are_found_when_the_manifest_is_read() {
    let found = complaints(json!({
        "template": "{{ db_hots }} {{ port | default(80) }} {% if tls %}s{% endif %}",
        "values": {"db_host": {"value": "h"}}
    }));
    let at = |message: &str, hint: &str| {
        (
            "/userData/template".to_owned(),
            message.to_owned(),
            Some(hint.to_owned()),
        )
    };
    assert_eq!(
        found,
        [
            at(
                "the variable `db_hots` is not in values",
                "did you mean `db_host`?"
            ),
            at(
                "the variable `tls` is not in values",
                "values: {tls: {value: ...}}"
            ),
        ]
    );
    let found = complaints(json!({"template": "a\n{% if %}"}));
    assert!(
        found[0].1.starts_with("line 2 of the template"),
        "{found:?}"
    );
}

#[test]
fn exactly_one_source() {
    let pointers = |user_data| -> Vec<String> {
        complaints(user_data)
            .into_iter()
            .map(|(pointer, ..)| pointer)
            .collect()
    };
    assert_eq!(pointers(json!({})), ["/userData"]);
    assert_eq!(
        pointers(json!({"inline": "a", "file": "b"})),
        ["/userData/file"]
    );
    assert_eq!(
        pointers(json!({"inline": "a", "values": {}, "delimiters": ["<", ">"]})),
        ["/userData/values", "/userData/delimiters"]
    );
    assert_eq!(
        pointers(json!({"sha256": "0"})),
        ["/userData/sha256", "/userData"]
    );
    let schema = KIND.schemas().spec.to_string();
    assert!(schema.contains("templateFile") && !schema.contains("sha256"));
}
