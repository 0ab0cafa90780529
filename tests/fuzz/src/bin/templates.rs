//! User data templates: they end, within bounds, and no error tells a value.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use stackward::manifest::template::{render, variables};

const SECRET: &str = "canary-51f0c2";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let own = [["[[", "]]"], ["<%", "%>"]].map(|pair| pair.map(str::to_owned));
    let delimiters = match text.len() % 3 {
        0 => None,
        1 => Some(&own[0]),
        _ => Some(&own[1]),
    };
    let values = BTreeMap::from([
        ("secret".to_owned(), SECRET.to_owned()),
        ("device".to_owned(), "/dev/vdb".to_owned()),
    ]);
    let _: Result<_, _> = variables(text, delimiters);
    if let Err(error) = render(text, delimiters, &values, "user data") {
        let tells = error.message.contains(SECRET) && !text.contains(SECRET);
        assert!(!tells, "{}", error.message);
    }
});
