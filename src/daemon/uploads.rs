//! The uploads that are under way, for a person who watches.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cloud::upload::Sent;
use crate::kinds::call::Source;

/// What is being uploaded, by a number that tells one from the next. Clones see the same.
#[derive(Debug, Clone, Default)]
pub struct Uploads(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    under_way: BTreeMap<u64, Upload>,
}

/// An upload that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its file's name, or the last part of its address.
    pub name: String,
    /// How far it is.
    pub sent: Sent,
}

/// Is dropped when an upload has ended, well or not.
#[derive(Debug)]
pub struct UnderWay {
    uploads: Uploads,
    number: u64,
}

impl Uploads {
    /// Those that are under way now.
    #[must_use]
    pub fn under_way(&self) -> BTreeMap<u64, Upload> {
        self.lock().under_way.clone()
    }

    /// Takes an upload up.
    #[must_use]
    pub fn begin(&self, source: &Source) -> UnderWay {
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        let sent = Sent {
            bytes: 0,
            length: None,
        };
        let name = name(source);
        inner.under_way.insert(number, Upload { name, sent });
        UnderWay {
            uploads: self.clone(),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// Notes how far it is.
    pub fn noting(&self) -> impl Fn(Sent) + Send + Sync + 'static {
        let (uploads, number) = (self.uploads.clone(), self.number);
        move |sent| {
            if let Some(upload) = uploads.lock().under_way.get_mut(&number) {
                upload.sent = sent;
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.uploads.lock().under_way.remove(&self.number);
    }
}

/// Of an address only what cannot be secret.
fn name(source: &Source) -> String {
    let of_file = |path: &Path| path.file_name().map(|it| it.to_string_lossy().into_owned());
    let name = match source {
        Source::File(path) => of_file(path),
        Source::Url(url) => reqwest::Url::parse(url).ok().and_then(|url| {
            of_file(Path::new(url.path())).or_else(|| url.host_str().map(str::to_owned))
        }),
    };
    name.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_seen_until_it_ends_and_its_secrets_are_not() {
        let uploads = Uploads::default();
        let url = "https://user:pass@host/images/disk.raw?token=secret";
        let one = uploads.begin(&Source::Url(url.to_owned()));
        let other = uploads.begin(&Source::File("/srv/images/a.qcow2".into()));
        let sent = Sent {
            bytes: 5,
            length: Some(9),
        };
        other.noting()(sent);
        let seen: Vec<Upload> = uploads.under_way().into_values().collect();
        assert_eq!(seen[0].name, "disk.raw");
        assert_eq!((seen[1].name.as_str(), seen[1].sent), ("a.qcow2", sent));
        let late = one.noting();
        drop((one, other));
        late(sent);
        assert!(uploads.under_way().is_empty());
        let bare = Source::Url("https://user:pass@host".to_owned());
        assert_eq!(name(&bare), "host");
    }
}
