//! The journal's file with bytes changed, cut off or added: it reads as it was written, or it is refused.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stackward::engine::journal::{Change, Journal, Record};
use stackward::engine::scope::Scope;
use stackward::manifest::Key;
use stackward::store::{FILE, Store};
use tempfile::TempDir;

struct Whole {
    bytes: Vec<u8>,
    journal: Journal,
    place: TempDir,
}

static WHOLE: LazyLock<Whole> = LazyLock::new(|| {
    // The database panics over pages that make no sense, which the journal catches; libFuzzer's own hook would end here.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let place = tempfile::tempdir().expect("a directory");
    let opened = Store::open(place.path(), None).expect("a new journal");
    let put = |name: &str| {
        let key = Key::new("Volume", "default", name);
        Change::Put(key, Record::new(Scope::new("cloud")))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let written = runtime.block_on(opened.store.write(["a", "b", "c"].map(put).to_vec()));
    written.expect("a write");
    drop(opened);
    // The thread that writes closes the file on its way out.
    let (journal, _) = loop {
        match Store::peek(place.path()) {
            Ok(read) => break read,
            Err(_) => std::thread::yield_now(),
        }
    };
    let bytes = fs::read(place.path().join(FILE)).expect("the file");
    Whole {
        bytes,
        journal,
        place,
    }
});

fuzz_target!(|data: &[u8]| {
    let whole = &*WHOLE;
    let mut bytes = whole.bytes.clone();
    for edit in data.chunks_exact(4) {
        let place = usize::from(edit[0]) << 8 | usize::from(edit[1]);
        match edit[2] {
            0 => bytes.truncate(place),
            1 => bytes.extend(std::iter::repeat_n(edit[3], place)),
            _ => {
                let len = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(place % len) {
                    *byte ^= edit[3];
                }
            }
        }
    }
    fs::write(whole.place.path().join(FILE), &bytes).expect("a write");
    // A file that is empty is a new one, as a crash before the first commit leaves it.
    match Store::peek(whole.place.path()) {
        Ok((journal, owner)) if owner.is_some() => assert_eq!(journal, whole.journal),
        Ok((journal, _)) => assert_eq!(journal, Journal::default()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
