//! clouds.yaml: any text gives a profile, or a reason.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stackward::cloud::environment::Environment;
use stackward::cloud::profile::Profile;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(error) = Profile::from_clouds_yaml(text, "demo", None, &Environment::default()) {
        assert!(!error.to_string().is_empty());
        let _: Option<String> = error.hint();
    }
});
