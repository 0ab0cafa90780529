//! The manifests of a directory, all of them, every time.

use std::collections::HashSet;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::root::{Identity, Root, RootError, file_type, type_words};
use crate::manifest::Origin;
use crate::manifest::problem::{Code, Problem};

const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Number of files.
    pub files: usize,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Directories within directories.
    pub depth: usize,
}

impl Default for Limits {
    /// 4 MiB a file, 100,000 files, 256 MiB in all, 32 levels.
    fn default() -> Self {
        let mebibyte = 1024 * 1024;
        Self {
            file_bytes: 4 * mebibyte,
            files: 100_000,
            total_bytes: 256 * mebibyte,
            depth: 32,
        }
    }
}

/// One manifest file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path relative to the directory, with `/` between the parts.
    pub path: Arc<str>,
    /// What it says.
    pub text: String,
}

/// What was found in a directory.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The files that could be read, sorted by path.
    pub files: Vec<File>,
    /// The files that could not, and what was passed over.
    pub problems: Vec<Problem>,
    /// The directory that it was, links resolved.
    pub identity: Identity,
    /// Its real path.
    pub root: PathBuf,
    /// Whether everything that is there was seen. If not, what is missing here may still exist.
    pub complete: bool,
    /// SHA-256 over paths, texts and problems: equal for equal scans of the same directory.
    pub digest: [u8; 32],
}

impl Scan {
    /// The text of a file, to show a problem with its source line.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        let found = self
            .files
            .binary_search_by(|file| (*file.path).cmp(path))
            .ok()?;
        self.files.get(found).map(|file| file.text.as_str())
    }
}

/// Reads every `*.yaml`, `*.yml` and `*.json` below a directory.
///
/// Hidden files and directories are passed over, and with them what editors and `ConfigMap` mounts
/// leave beside the files; links are followed as long as they stay beneath the directory. A file
/// or a directory that several links lead to is read once.
///
/// # Errors
/// The directory itself is missing or cannot be read. That is not the same as an empty one.
pub fn read_all(root: &Path, limits: Limits) -> Result<Scan, RootError> {
    let mut walk = Walk::new(root, limits)?;
    let top = rustix::io::fcntl_dupfd_cloexec(&walk.root.directory, 0)
        .and_then(|directory| walk.list(&directory));
    match top {
        Ok(entries) => walk.entries(entries, "", 0),
        Err(errno) => return Err(RootError::Unreadable(walk.root.path, errno.into())),
    }
    Ok(walk.finish())
}

/// One file of which the bytes are given, as if it were the only one in a directory.
///
/// # Errors
/// The directory is missing or cannot be read.
pub fn read_given(
    root: &Path,
    path: &str,
    bytes: Vec<u8>,
    limits: Limits,
) -> Result<Scan, RootError> {
    let mut walk = Walk::new(root, limits)?;
    walk.take(path, bytes);
    Ok(walk.finish())
}

struct Entry {
    name: String,
    file_type: FileType,
}

struct Walk {
    root: Root,
    limits: Limits,
    files: Vec<File>,
    problems: Vec<Problem>,
    complete: bool,
    /// Directories and files that were read.
    seen: HashSet<Identity>,
    bytes: u64,
    /// A limit was reached: nothing more is read.
    full: bool,
}

impl Walk {
    fn new(root: &Path, limits: Limits) -> Result<Self, RootError> {
        let root = Root::open(root)?;
        Ok(Self {
            limits,
            files: Vec::new(),
            problems: Vec::new(),
            complete: true,
            seen: HashSet::from([root.identity]),
            bytes: 0,
            full: false,
            root,
        })
    }

    fn list(&mut self, directory: &OwnedFd) -> Result<Vec<Entry>, Errno> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_bytes().starts_with(b".") {
                continue;
            }
            match name.to_str() {
                // A place that is shown must not steer the terminal, nor look like another one.
                Ok(name) if !name.contains(char::is_control) => {
                    entries.push(Entry {
                        name: name.to_owned(),
                        file_type: entry.file_type(),
                    });
                }
                _ => {
                    let shown = name.to_string_lossy().replace(char::is_control, "\u{fffd}");
                    if is_manifest(&shown) || entry.file_type() == FileType::Directory {
                        let message = "the name is not UTF-8, or has control characters";
                        self.fail(&shown, Code::NotUtf8, message.to_owned(), Some("rename it"));
                    }
                }
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn entries(&mut self, entries: Vec<Entry>, parent: &str, depth: usize) {
        for entry in entries {
            if self.full {
                return;
            }
            let path = if parent.is_empty() {
                entry.name.clone()
            } else {
                format!("{parent}/{}", entry.name)
            };
            // Only root may look into it, and no manifest gets there: the daemon must not be held up
            // because its directory is a file system of its own.
            if entry.name == "lost+found" {
                continue;
            }
            let manifest = is_manifest(&entry.name);
            match entry.file_type {
                FileType::RegularFile if !manifest => {}
                FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice => {
                    // Not even opened: opening a device can have effects.
                    if manifest {
                        self.pass_over(&path, entry.file_type);
                    }
                }
                file_type => self.open(&path, file_type, manifest, depth),
            }
        }
    }

    fn open(&mut self, path: &str, entry_type: FileType, manifest: bool, depth: usize) {
        let (file, stat) = match self.root.open_beneath(Path::new(path)) {
            Ok(opened) => opened,
            Err(errno) => return self.cannot_open(path, entry_type, manifest, errno),
        };
        let found = file_type(&stat);
        let wanted = found == FileType::Directory || (manifest && found == FileType::RegularFile);
        if !wanted {
            if manifest {
                self.pass_over(path, found);
            }
            return;
        }
        if !self.seen.insert(Identity::of(&stat)) {
            return;
        }
        if found == FileType::RegularFile {
            return self.read(path, file);
        }
        if depth >= self.limits.depth {
            let message = format!(
                "directories nested deeper than {} levels",
                self.limits.depth
            );
            return self.fail(path, Code::TooLarge, message, None);
        }
        match self.list(&file) {
            Ok(entries) => self.entries(entries, path, depth + 1),
            Err(errno) => self.unreadable(path, "list", errno),
        }
    }

    fn cannot_open(&mut self, path: &str, entry_type: FileType, manifest: bool, errno: Errno) {
        let link = entry_type == FileType::Symlink;
        // What a link of another name leads to only matters if it is a directory of manifests.
        let elsewhere = || {
            let follow = rustix::fs::AtFlags::empty();
            rustix::fs::statat(&self.root.directory, path, follow)
                .is_ok_and(|stat| file_type(&stat) != FileType::Directory)
        };
        if link && !manifest && (errno != Errno::XDEV || elsewhere()) {
            return;
        }
        match errno {
            Errno::XDEV => {
                let hint = "copy the file into it, or give that directory as the one to read";
                let message = "the link leads out of the manifest directory".to_owned();
                self.fail(path, Code::OutsideRoot, message, Some(hint));
            }
            Errno::NOENT if link => {
                let message = "the link leads to nothing".to_owned();
                self.fail(path, Code::Unreadable, message, None);
            }
            // Removed since the directory was listed. The next scan will tell.
            Errno::NOENT => self.complete = false,
            Errno::LOOP => {
                let message = "the link leads to itself".to_owned();
                self.fail(path, Code::Unreadable, message, None);
            }
            errno => self.unreadable(path, "open", errno),
        }
    }

    fn read(&mut self, path: &str, file: OwnedFd) {
        if self.files.len() >= self.limits.files {
            self.full = true;
            let message = format!("more than {} files", self.limits.files);
            return self.fail(path, Code::TooLarge, message, None);
        }
        let most = self.limits.file_bytes;
        let mut bytes = Vec::new();
        let read = std::fs::File::from(file)
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes);
        if let Err(error) = read {
            return self.unreadable(path, "read", super::root::errno(&error));
        }
        self.take(path, bytes);
    }

    fn take(&mut self, path: &str, bytes: Vec<u8>) {
        let most = self.limits.file_bytes;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > most {
            let message = format!("larger than {most} bytes");
            return self.fail(
                path,
                Code::TooLarge,
                message,
                Some("split it into several files"),
            );
        }
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > self.limits.total_bytes {
            self.full = true;
            let message = format!("more than {} bytes in all files", self.limits.total_bytes);
            return self.fail(path, Code::TooLarge, message, None);
        }
        match String::from_utf8(bytes) {
            Ok(text) => self.files.push(File {
                path: path.into(),
                text,
            }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let before = error.as_bytes().get(..at).unwrap_or_default();
                let lines = before.iter().filter(|&&byte| byte == b'\n').count();
                let line = u32::try_from(lines + 1).unwrap_or(u32::MAX);
                let last = before
                    .rsplit(|&byte| byte == b'\n')
                    .next()
                    .unwrap_or_default();
                let characters = String::from_utf8_lossy(last).chars().count();
                let is_utf16 = matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
                let message = if is_utf16 {
                    "the file is UTF-16, not UTF-8".to_owned()
                } else {
                    format!("not UTF-8 at byte {at}")
                };
                let problem = Problem::error(Code::NotUtf8, message)
                    .at(Origin {
                        file: path.into(),
                        line,
                        column: u32::try_from(characters + 1).unwrap_or(u32::MAX),
                    })
                    .hint("save the file as UTF-8");
                self.problems.push(problem);
            }
        }
    }

    fn pass_over(&mut self, path: &str, found: FileType) {
        let message = format!("passed over: it is {}", type_words(found));
        let problem = Problem::warning(Code::NotAFile, message).at(Origin::start(path));
        self.problems.push(problem);
    }

    fn unreadable(&mut self, path: &str, verb: &str, errno: Errno) {
        let message = format!("cannot {verb} it: {}", std::io::Error::from(errno));
        self.fail(path, Code::Unreadable, message, None);
    }

    /// Something is there that was not seen.
    fn fail(&mut self, path: &str, code: Code, message: String, hint: Option<&str>) {
        self.complete = false;
        let mut problem = Problem::error(code, message).at(Origin::start(path));
        problem.hint = hint.map(str::to_owned);
        self.problems.push(problem);
    }

    fn finish(mut self) -> Scan {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        self.problems.sort_by(|a, b| a.origin.cmp(&b.origin));
        let mut digest = Sha256::new();
        let mut add = |part: &[u8]| {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        };
        for file in &self.files {
            add(file.path.as_bytes());
            add(file.text.as_bytes());
        }
        for problem in &self.problems {
            add(problem.to_string().as_bytes());
        }
        add(&[u8::from(self.complete)]);
        Scan {
            digest: digest.finalize().into(),
            files: self.files,
            problems: self.problems,
            identity: self.root.identity,
            root: self.root.path,
            complete: self.complete,
        }
    }
}

/// Whether a name is that of a manifest. Editors' leftovers (`x.yaml~`, `#x.yaml#`, `4913`) are
/// not: what they add comes after the extension, or hides the file.
fn is_manifest(name: &str) -> bool {
    Path::new(name)
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| {
            EXTENSIONS
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    struct Place(tempfile::TempDir);

    impl Place {
        fn with(files: &[(&str, &str)]) -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            for (path, text) in files {
                place.write(path, text);
            }
            place
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn link(&self, target: impl AsRef<Path>, path: &str) {
            symlink(target, self.0.path().join(path)).unwrap();
        }

        fn scan(&self) -> Scan {
            read_all(self.0.path(), Limits::default()).unwrap()
        }
    }

    fn paths(scan: &Scan) -> Vec<&str> {
        scan.files.iter().map(|file| &*file.path).collect()
    }

    fn problems(scan: &Scan) -> Vec<String> {
        scan.problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn every_manifest_below_the_directory_is_read_and_leftovers_are_not() {
        let place = Place::with(&[
            ("b.yaml", "b"),
            ("a.yml", "a"),
            ("sub/deep/c.json", "c"),
            ("sub.yaml/d.YAML", "d"),
            (".hidden.yaml", ""),
            (".git/x.yaml", ""),
            ("x.yaml~", ""),
            (".x.yaml.swp", ""),
            (".#x.yaml", ""),
            ("#x.yaml#", ""),
            ("4913", ""),
            ("README.md", ""),
            ("lost+found/x.yaml", ""),
            ("yaml", ""),
        ]);
        let scan = place.scan();
        assert_eq!(
            paths(&scan),
            ["a.yml", "b.yaml", "sub.yaml/d.YAML", "sub/deep/c.json"]
        );
        assert_eq!(scan.text("sub/deep/c.json"), Some("c"));
        assert_eq!(scan.text("README.md"), None);
        assert!(scan.complete && scan.problems.is_empty());
    }

    #[test]
    fn a_config_map_mount_is_read_once_and_its_swap_is_seen() {
        let place = Place::with(&[("..1/a.yaml", "old"), ("..2/a.yaml", "new")]);
        place.link("..1", "..data");
        place.link("..data/a.yaml", "a.yaml");
        let before = place.scan();
        assert_eq!(
            (paths(&before), &*before.files[0].text),
            (vec!["a.yaml"], "old")
        );
        assert_eq!(before.digest, place.scan().digest);
        place.link("..2", "..next");
        fs::rename(place.0.path().join("..next"), place.0.path().join("..data")).unwrap();
        let after = place.scan();
        assert_eq!(
            (paths(&after), &*after.files[0].text),
            (vec!["a.yaml"], "new")
        );
        assert_ne!(before.digest, after.digest);
        assert_eq!(before.identity, after.identity);
    }

    #[test]
    fn a_linked_root_is_read_and_another_target_is_another_directory() {
        let place = Place::with(&[("v1/a.yaml", ""), ("v2/a.yaml", "")]);
        place.link("v1", "current");
        let current = place.0.path().join("current");
        let before = read_all(&current, Limits::default()).unwrap();
        fs::remove_file(&current).unwrap();
        place.link("v2", "current");
        let after = read_all(&current, Limits::default()).unwrap();
        assert_eq!(
            (paths(&before), paths(&after)),
            (vec!["a.yaml"], vec!["a.yaml"])
        );
        assert_ne!(before.identity, after.identity);
    }

    #[test]
    fn links_are_followed_inside_only_and_each_target_is_read_once() {
        let outside = Place::with(&[("secret.yaml", "s"), ("disk.img", "")]);
        let place = Place::with(&[("real/a.yaml", "a")]);
        place.link("real", "zlink");
        place.link(".", "loop");
        place.link(place.0.path().join("real/a.yaml"), "absolute.yaml");
        place.link(outside.0.path().join("secret.yaml"), "out.yaml");
        place.link(outside.0.path(), "out");
        place.link(outside.0.path().join("disk.img"), "disk.img");
        place.link("nothing.yaml", "dangling.yaml");
        place.link("self.yaml", "self.yaml");
        let scan = place.scan();
        assert_eq!(paths(&scan), ["absolute.yaml"]);
        let leads = |path: &str, how: &str| format!("{path}:1:1: error[{how}");
        let expected = [
            leads("dangling.yaml", "unreadable]: the link leads to nothing"),
            leads(
                "out",
                "outside-root]: the link leads out of the manifest directory\n",
            ),
            leads(
                "out.yaml",
                "outside-root]: the link leads out of the manifest directory\n",
            ),
            leads("self.yaml", "unreadable]: the link leads to itself"),
        ];
        let found = problems(&scan);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(found.starts_with(expected), "{found}");
        }
        assert!(!scan.complete);
    }

    #[test]
    fn a_fifo_is_passed_over_and_does_not_hold_anything_up() {
        let place = Place::with(&[("a.yaml", "a")]);
        let fifo = place.0.path().join("fifo.yaml");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
        place.link("fifo.yaml", "link.yaml");
        let scan = place.scan();
        assert_eq!(paths(&scan), ["a.yaml"]);
        assert_eq!(
            problems(&scan),
            [
                "fifo.yaml:1:1: warning[not-a-file]: passed over: it is a FIFO",
                "link.yaml:1:1: warning[not-a-file]: passed over: it is a FIFO",
            ]
        );
        assert!(scan.complete);
    }

    #[test]
    fn a_name_that_is_no_text_is_reported() {
        use std::os::unix::ffi::OsStrExt as _;
        let place = Place::with(&[("a\u{1b}[2J.yaml", ""), ("b\n.txt", "")]);
        fs::write(
            place
                .0
                .path()
                .join(std::ffi::OsStr::from_bytes(b"\xff.yaml")),
            "",
        )
        .unwrap();
        let scan = place.scan();
        assert!(scan.files.is_empty() && !scan.complete);
        let found = problems(&scan).join("\n");
        assert_eq!(
            found.matches("error[not-utf8]: the name is").count(),
            2,
            "{found}"
        );
        assert!(!found.contains('\u{1b}'));
    }

    #[test]
    fn what_is_too_much_or_no_text_is_reported_and_the_rest_is_read() {
        let place = Place::with(&[("a.yaml", "a"), ("b.yaml", "12345"), ("c/d/e.yaml", "")]);
        fs::write(place.0.path().join("z.yaml"), b"ok\n\xff").unwrap();
        let limits = Limits {
            file_bytes: 4,
            depth: 1,
            ..Limits::default()
        };
        let scan = read_all(place.0.path(), limits).unwrap();
        assert_eq!(paths(&scan), ["a.yaml"]);
        assert_eq!(
            problems(&scan),
            [
                "b.yaml:1:1: error[too-large]: larger than 4 bytes\n  \
                 hint: split it into several files",
                "c/d:1:1: error[too-large]: directories nested deeper than 1 levels",
                "z.yaml:2:1: error[not-utf8]: not UTF-8 at byte 3\n  hint: save the file as UTF-8",
            ]
        );
        assert!(!scan.complete);
        for limits in [
            Limits {
                files: 1,
                ..Limits::default()
            },
            Limits {
                total_bytes: 3,
                ..Limits::default()
            },
        ] {
            let scan = read_all(place.0.path(), limits).unwrap();
            assert_eq!(paths(&scan), ["a.yaml"]);
            assert!(!scan.complete);
        }
    }

    #[test]
    fn a_hundred_thousand_files_are_read_and_of_one_more_it_is_said() {
        let place = Place::with(&[]);
        for directory in 0..100 {
            fs::create_dir(place.0.path().join(format!("{directory:02}"))).unwrap();
            for file in 0..1000 {
                let path = format!("{directory:02}/{file:03}.yaml");
                fs::write(place.0.path().join(path), "a").unwrap();
            }
        }
        let scan = place.scan();
        assert_eq!((scan.files.len(), scan.complete), (100_000, true));
        place.write("z.yaml", "a");
        let scan = place.scan();
        assert_eq!((scan.files.len(), scan.complete), (100_000, false));
        assert!(problems(&scan).join("\n").contains("100000"));
    }

    #[test]
    fn an_empty_directory_is_empty_and_a_missing_one_is_an_error() {
        let place = Place::with(&[]);
        assert!(place.scan().complete && place.scan().files.is_empty());
        assert!(read_all(&place.0.path().join("no"), Limits::default()).is_err());
    }
}
