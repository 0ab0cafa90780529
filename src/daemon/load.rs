//! A directory of manifests to the whole desired set, every time.
//!
//! A directory that cannot be read never becomes an empty set: the set before it stays in force.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::engine::desired::{Desired, Draft, FileAnswer, FileNeed};
use crate::engine::scope::Scope;
use crate::files::{self, Assets, Identity, Limits, RootError};
use crate::kinds;
use crate::kinds::need::Reading;
use crate::manifest::problem::{Code, Problem};
use crate::manifest::{Manifest, Shape, parse};

/// Reads one directory, again and again. Blocks.
#[derive(Debug)]
pub struct Loader {
    directory: PathBuf,
    allowed: Vec<PathBuf>,
    scope: Scope,
    kinds: Vec<(&'static str, Shape)>,
    parsed: BTreeMap<Arc<str>, Parsed>,
    previous: Option<Arc<Desired>>,
    /// What that was made from; `None` when the directory could not be read.
    basis: Option<Basis>,
}

#[derive(Debug)]
struct Parsed {
    digest: [u8; 32],
    manifests: Vec<Arc<Manifest>>,
    problems: Vec<Problem>,
}

/// The texts of all manifests.
struct Read {
    texts: HashMap<Arc<str>, String>,
    /// Of the paths and the texts.
    digest: [u8; 32],
    /// What kept some of them from being read.
    problems: Vec<Problem>,
}

/// All that a set is made from: while it is the same, so is the set.
#[derive(Debug)]
struct Basis {
    /// Digest of the manifests' paths and texts.
    manifests: [u8; 32],
    /// What kept some of them from being read.
    problems: Vec<Problem>,
    /// The files that they name,
    needs: Vec<FileNeed>,
    /// and a digest of what these hold.
    answers: [u8; 32],
}

/// One reading of the directory.
#[derive(Debug)]
pub struct Loaded {
    /// The set; the same one as long as everything that it is made from is.
    pub desired: Arc<Desired>,
    /// Which directory it was; `None` when it could not be read.
    pub identity: Option<Identity>,
    /// Its real path.
    pub root: Option<PathBuf>,
    /// Whether something that was declared is not declared any more.
    pub removed: bool,
    /// The texts of the files by path, for showing lines of them.
    pub texts: HashMap<Arc<str>, String>,
}

impl Loader {
    /// A loader of `directory`, whose manifests may also name files in `allowed`. Manifests that
    /// name no cloud belong to `scope`.
    #[must_use]
    pub fn new(directory: PathBuf, allowed: Vec<PathBuf>, scope: Scope) -> Self {
        let kinds = kinds::KINDS
            .iter()
            .map(|kind| (kind.name(), kind.shape()))
            .collect();
        Self {
            directory,
            allowed,
            scope,
            kinds,
            parsed: BTreeMap::new(),
            previous: None,
            basis: None,
        }
    }

    /// Reads everything.
    pub fn load(&mut self) -> Loaded {
        let scan = files::read_all(&self.directory, Limits::default());
        self.take(scan)
    }

    /// Takes one file, whose bytes are given, for everything that there is.
    pub fn load_given(&mut self, path: &str, bytes: Vec<u8>) -> Loaded {
        let scan = files::read_given(&self.directory, path, bytes, Limits::default());
        self.take(scan)
    }

    fn take(&mut self, scan: Result<files::Scan, RootError>) -> Loaded {
        let loaded = match scan {
            Ok(scan) => self.load_from(scan),
            Err(error) => self.unreadable(&error),
        };
        self.previous = Some(Arc::clone(&loaded.desired));
        loaded
    }

    fn load_from(&mut self, scan: files::Scan) -> Loaded {
        let (identity, root) = (Some(scan.identity), Some(scan.root.clone()));
        let read = self.read(scan);
        let same = self.previous.as_ref().filter(|_| self.is_as_before(&read));
        let desired = match same.cloned() {
            Some(same) => same,
            None => {
                let (desired, basis) = self.assemble(&read);
                self.basis = Some(basis);
                Arc::new(desired)
            }
        };
        Loaded {
            removed: self.removed(&desired),
            desired,
            identity,
            root,
            texts: read.texts,
        }
    }

    /// What the whole would be if one of its files had this text. Nothing of it is remembered.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn trial(&mut self, path: &str, text: &str) -> Result<Desired, RootError> {
        let mut scan = files::read_all(&self.directory, Limits::default())?;
        let file = files::File {
            path: path.into(),
            text: text.to_owned(),
        };
        match scan.files.binary_search_by(|it| (*it.path).cmp(path)) {
            Ok(found) => scan.files[found] = file,
            Err(place) => scan.files.insert(place, file),
        }
        let read = self.read(scan);
        Ok(self.assemble(&read).0)
    }

    /// Parses what was not parsed before.
    fn read(&mut self, scan: files::Scan) -> Read {
        let mut before = std::mem::take(&mut self.parsed);
        let (mut texts, mut whole) = (HashMap::new(), Sha256::new());
        for file in scan.files {
            let digest: [u8; 32] = Sha256::digest(file.text.as_bytes()).into();
            whole.update(Sha256::digest(file.path.as_bytes()));
            whole.update(digest);
            let parsed = match before.remove(&file.path) {
                Some(parsed) if parsed.digest == digest => parsed,
                _ => {
                    let kinds = parse::Kinds(&self.kinds);
                    let (manifests, problems) = parse::parse(&file.path, &file.text, kinds);
                    Parsed {
                        digest,
                        manifests: manifests.into_iter().map(Arc::new).collect(),
                        problems,
                    }
                }
            };
            self.parsed.insert(Arc::clone(&file.path), parsed);
            texts.insert(file.path, file.text);
        }
        let mut problems = scan.problems;
        let parsed = self.parsed.values();
        let is_said = !problems.is_empty() || parsed.into_iter().any(|it| !it.problems.is_empty());
        if !scan.complete && !is_said {
            let message = "not everything in the directory could be read";
            problems.push(Problem::error(Code::Unreadable, message));
        }
        Read {
            texts,
            digest: whole.finalize().into(),
            problems,
        }
    }

    fn is_as_before(&self, read: &Read) -> bool {
        self.basis.as_ref().is_some_and(|basis| {
            basis.manifests == read.digest
                && basis.problems == read.problems
                && basis.answers == digest(&self.answers(&basis.needs))
        })
    }

    /// The set of what was read last.
    fn assemble(&self, read: &Read) -> (Desired, Basis) {
        let parsed = self.parsed.values();
        let manifests = parsed.clone().flat_map(|it| it.manifests.iter().cloned());
        let problems = read.problems.iter();
        let problems = problems.chain(parsed.flat_map(|it| &it.problems)).cloned();
        let draft = Draft::new(manifests, problems.collect(), self.previous.as_deref());
        let needs = draft.files();
        let answers = self.answers(&needs);
        let basis = Basis {
            manifests: read.digest,
            problems: read.problems.clone(),
            needs,
            answers: digest(&answers),
        };
        let desired = draft.finish(answers, &self.scope);
        (desired, basis)
    }

    fn unreadable(&mut self, error: &RootError) -> Loaded {
        let source = std::error::Error::source(error).map(|source| format!(": {source}"));
        let problem = Problem::error(
            Code::Unreadable,
            format!("{error}{}", source.unwrap_or_default()),
        )
        .hint("what was declared in it stays in force until it can be read again");
        let draft = Draft::new([] as [Manifest; 0], vec![problem], self.previous.as_deref());
        let desired = draft.finish(Vec::new(), &self.scope);
        self.basis = None;
        Loaded {
            desired: Arc::new(desired),
            identity: None,
            root: None,
            removed: false,
            texts: HashMap::new(),
        }
    }

    fn answers(&self, needs: &[FileNeed]) -> Vec<Result<FileAnswer, Problem>> {
        if needs.is_empty() {
            return Vec::new();
        }
        match Assets::open(&self.directory, &self.allowed) {
            Ok(assets) => needs.iter().map(|need| answer(&assets, need)).collect(),
            Err(error) => {
                let problem = Problem::error(Code::Unreadable, error.to_string());
                needs.iter().map(|_| Err(problem.clone())).collect()
            }
        }
    }

    fn removed(&self, desired: &Desired) -> bool {
        self.previous.as_ref().is_some_and(|previous| {
            let now = desired.declared();
            previous.declared().iter().any(|key| !now.contains(key))
        })
    }
}

/// Tells whether the files that manifests name hold what they held.
fn digest(answers: &[Result<FileAnswer, Problem>]) -> [u8; 32] {
    let mut whole = Sha256::new();
    for answer in answers {
        let (tag, digest) = match answer {
            Ok(FileAnswer::Text(text)) => (0, Sha256::digest(text.expose_secret())),
            Ok(FileAnswer::Path(path)) => (1, Sha256::digest(path.as_os_str().as_bytes())),
            Err(problem) => (2, Sha256::digest(format!("{problem:?}"))),
        };
        whole.update([tag]);
        whole.update(digest);
    }
    whole.finalize().into()
}

fn answer(assets: &Assets, need: &FileNeed) -> Result<FileAnswer, Problem> {
    match need.reading {
        Reading::Text(most) => {
            let bytes = assets.read(&need.manifest, &need.path, most)?;
            let text = String::from_utf8(bytes).map_err(|_| {
                Problem::error(Code::NotUtf8, format!("`{}` is not UTF-8 text", need.path))
            })?;
            Ok(FileAnswer::Text(SecretString::from(text)))
        }
        Reading::Stream => {
            let info = assets.stat(&need.manifest, &need.path)?;
            Ok(FileAnswer::Path(info.path))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::manifest::Key;

    const PAIR: &str = "\
apiVersion: stackward.dev/v1alpha1
kind: KeyPair
metadata: {name: key}
spec: {resource: {publicKeyFile: key.pub}}
";

    /// A directory with a manifest that names a file, and its loader.
    fn loader() -> (tempfile::TempDir, Loader) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("key.yaml"), PAIR).unwrap();
        fs::write(directory.path().join("key.pub"), "ssh-ed25519 AAAA one").unwrap();
        let path = directory.path().to_owned();
        (directory, Loader::new(path, Vec::new(), Scope::new("it")))
    }

    #[test]
    fn the_set_is_the_same_one_while_what_it_is_made_from_is() {
        let (directory, mut loader) = loader();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        let mut before = loader.load().desired;
        assert_eq!(before.problems, []);
        assert!(Arc::ptr_eq(&before, &loader.load().desired));
        let other = PAIR.replace("name: key", "name: other");
        let changes: [&dyn Fn(); 5] = [
            &|| write("key.pub", "ssh-ed25519 AAAA two"),
            &|| write("other.yaml", &other),
            &|| write("other.yaml", "no manifest"),
            &|| write("other.yaml", &PAIR.replace("name: key", "name: third")),
            &|| fs::remove_file(directory.path().join("key.pub")).unwrap(),
        ];
        for (number, change) in changes.iter().enumerate() {
            change();
            let after = loader.load().desired;
            assert!(!Arc::ptr_eq(&before, &after), "change {number}");
            assert!(
                Arc::ptr_eq(&after, &loader.load().desired),
                "change {number}"
            );
            before = after;
        }
    }

    #[test]
    fn a_file_that_changes_makes_no_other_objects_of_those_in_the_others() {
        let (directory, mut loader) = loader();
        let write = |text: String| fs::write(directory.path().join("other.yaml"), text).unwrap();
        write(PAIR.replace("name: key", "name: other"));
        let before = loader.load().desired;
        write(PAIR.replace("name: key", "name: other, labels: {a: b}"));
        let after = loader.load().desired;
        let is_same = |name: &str| {
            let key = Key::new("KeyPair", "default", name);
            Arc::ptr_eq(&before.objects[&key], &after.objects[&key])
        };
        assert_eq!((is_same("key"), is_same("other")), (true, false));
        // What a file holds that is named is a part of the object.
        fs::write(directory.path().join("key.pub"), "ssh-ed25519 AAAA two").unwrap();
        let key = Key::new("KeyPair", "default", "key");
        let later = loader.load().desired;
        assert!(!Arc::ptr_eq(&after.objects[&key], &later.objects[&key]));
        assert_eq!(later.objects[&key].generation, 2);
    }

    #[test]
    fn a_trial_is_not_taken_for_what_is_there() {
        let (directory, mut loader) = loader();
        let before = loader.load().desired;
        let other = PAIR.replace("name: key", "name: other");
        let tried = loader.trial("other.yaml", &other).unwrap();
        assert_eq!(tried.objects.len(), 2);
        assert!(Arc::ptr_eq(&before, &loader.load().desired));
        fs::write(directory.path().join("other.yaml"), &other).unwrap();
        assert_eq!(loader.load().desired.objects.len(), 2);
    }

    #[test]
    fn a_directory_that_was_away_is_another_reading() {
        let (directory, mut loader) = loader();
        let before = loader.load().desired;
        let away = directory.path().with_extension("away");
        fs::rename(directory.path(), &away).unwrap();
        let without = loader.load().desired;
        assert!(without.hiding.is_some() && without.objects.len() == 1);
        fs::rename(&away, directory.path()).unwrap();
        let back = loader.load().desired;
        assert!(back.hiding.is_none() && !Arc::ptr_eq(&before, &back));
    }
}
