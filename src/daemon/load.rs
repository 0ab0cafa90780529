//! A directory of manifests to the whole desired set, every time.
//!
//! A directory that cannot be read never becomes an empty set: the set before it stays in force.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
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
    parsed: HashMap<Arc<str>, Parsed>,
    previous: Option<Desired>,
}

#[derive(Debug)]
struct Parsed {
    digest: [u8; 32],
    manifests: Vec<Manifest>,
    problems: Vec<Problem>,
}

/// One reading of the directory.
#[derive(Debug)]
pub struct Loaded {
    /// The set.
    pub desired: Desired,
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
            parsed: HashMap::new(),
            previous: None,
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
            Ok(scan) => self.assemble(scan),
            Err(error) => self.unreadable(&error),
        };
        self.previous = Some(loaded.desired.clone());
        loaded
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
        Ok(self.assemble(scan).desired)
    }

    fn assemble(&mut self, scan: files::Scan) -> Loaded {
        let mut manifests = Vec::new();
        let mut problems = scan.problems;
        let mut before = std::mem::take(&mut self.parsed);
        let mut texts = HashMap::new();
        for file in scan.files {
            let digest: [u8; 32] = Sha256::digest(file.text.as_bytes()).into();
            let parsed = match before.remove(&file.path) {
                Some(parsed) if parsed.digest == digest => parsed,
                _ => {
                    let kinds = parse::Kinds(&self.kinds);
                    let (manifests, problems) = parse::parse(&file.path, &file.text, kinds);
                    Parsed {
                        digest,
                        manifests,
                        problems,
                    }
                }
            };
            manifests.extend(parsed.manifests.iter().cloned());
            problems.extend(parsed.problems.iter().cloned());
            self.parsed.insert(Arc::clone(&file.path), parsed);
            texts.insert(file.path, file.text);
        }
        if !scan.complete && problems.is_empty() {
            let message = "not everything in the directory could be read";
            problems.push(Problem::error(Code::Unreadable, message));
        }
        let draft = Draft::new(manifests, problems);
        let needs = draft.files();
        let answers = self.answers(&needs);
        let desired = draft.finish(answers, self.previous.as_ref(), &self.scope);
        let removed = self.removed(&desired);
        Loaded {
            desired,
            identity: Some(scan.identity),
            root: Some(scan.root),
            removed,
            texts,
        }
    }

    fn unreadable(&self, error: &RootError) -> Loaded {
        let source = std::error::Error::source(error).map(|source| format!(": {source}"));
        let problem = Problem::error(
            Code::Unreadable,
            format!("{error}{}", source.unwrap_or_default()),
        )
        .hint("what was declared in it stays in force until it can be read again");
        let draft = Draft::new(Vec::new(), vec![problem]);
        let desired = draft.finish(Vec::new(), self.previous.as_ref(), &self.scope);
        Loaded {
            desired,
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
