//! A directory below the manifest directory that manifests are written to, one file each, whole or not
//! at all.
//!
//! What is written, and under which names, is not decided here.

#![expect(
    clippy::disallowed_methods,
    reason = "the directory's real path is asked of the system"
)]

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// What is being written is here until it is whole. Hidden, so that it is never read as a manifest.
const UNFINISHED: &str = ".unfinished";
/// What a name of a file may have in bytes.
const LONGEST_NAME: usize = 255;

/// Why a directory cannot be written to.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not below the manifest directory.
    #[error("`{}` is not below the manifest directory `{}`", .0.display(), .1.display())]
    Outside(PathBuf, PathBuf),
    /// It is passed over when manifests are read.
    #[error("what is in `{}` is not read as manifests", .0.display())]
    Unread(PathBuf),
    /// It cannot be made, or nothing can be written in it.
    #[error("cannot write to the directory `{}`", .0.display())]
    Unwritable(PathBuf, #[source] io::Error),
}

impl FolderError {
    /// What a person can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Outside(..) => "name a directory inside of it: --api-write=api",
            Self::Unread(_) => "name one that does not begin with a dot: --api-write=api",
            Self::Unwritable(..) => {
                "let the daemon's user write there; in a hardened service name it in ReadWritePaths="
            }
        }
    }
}

/// A directory of one's own.
#[derive(Debug)]
pub struct Folder {
    /// Its real path.
    path: PathBuf,
    /// What a path of a file in it begins with, seen from the manifest directory: `api/`.
    prefix: String,
}

impl Folder {
    /// Takes a directory, and makes it if it is missing: for nobody but its owner.
    ///
    /// # Errors
    /// It is no place for manifests, or cannot be written.
    pub fn open(manifests: &Path, path: &Path) -> Result<Self, FolderError> {
        let unwritable = |error: io::Error| FolderError::Unwritable(path.to_owned(), error);
        let root = std::fs::canonicalize(manifests).map_err(unwritable)?;
        let path = real(path).map_err(unwritable)?;
        let outside = || FolderError::Outside(path.clone(), root.clone());
        let inside = path.strip_prefix(&root).map_err(|_| outside())?;
        let mut prefix = String::new();
        for component in inside.components() {
            match component {
                Component::Normal(name) => match name.to_str() {
                    Some(name) if is_read(name) => prefix.extend([name, "/"]),
                    _ => return Err(FolderError::Unread(path)),
                },
                _ => return Err(outside()),
            }
        }
        if prefix.is_empty() {
            return Err(outside());
        }
        match mkdirat(CWD, &path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(FolderError::Unwritable(path, errno.into())),
        }
        let folder = Self { path, prefix };
        folder
            .try_out()
            .map_err(|error| FolderError::Unwritable(folder.path.clone(), error))?;
        Ok(folder)
    }

    /// The path of one of its files, as the reading of the manifest directory names it.
    #[must_use]
    pub fn path_of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What these paths begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What a file says; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<String>> {
        let directory = self.directory()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match openat(&directory, checked(name)?, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let mut text = String::new();
        std::fs::File::from(file).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    /// Writes a file. Whoever looks sees the old text or the new one, also after a crash; when this
    /// returns, the new one is on the disk.
    ///
    /// # Errors
    /// It is not written.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let name = checked(name)?;
        let directory = self.directory()?;
        self.put_down(&directory, text)?;
        renameat(&directory, UNFINISHED, &directory, name)?;
        Ok(fsync(&directory)?)
    }

    /// Removes a file. Says whether there was one.
    ///
    /// # Errors
    /// It is still there.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        let directory = self.directory()?;
        match unlinkat(&directory, checked(name)?, AtFlags::empty()) {
            Ok(()) => {
                fsync(&directory)?;
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opened each time: the path may be another directory by now.
    fn directory(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(openat(CWD, &self.path, flags, Mode::empty())?)
    }

    /// A new file with this text, forced to the disk; nobody else may read it.
    fn put_down(&self, directory: &OwnedFd, text: &str) -> io::Result<()> {
        match unlinkat(directory, UNFINISHED, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(directory, UNFINISHED, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = std::fs::File::from(file);
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Leaves nothing of what a crash interrupted.
    fn try_out(&self) -> io::Result<()> {
        let directory = self.directory()?;
        self.put_down(&directory, "")?;
        Ok(unlinkat(&directory, UNFINISHED, AtFlags::empty())?)
    }
}

/// Where a directory is, or would be if it were made.
fn real(path: &Path) -> io::Result<PathBuf> {
    match (std::fs::canonicalize(path), path.file_name()) {
        (Err(error), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(Path::new("/"));
            Ok(std::fs::canonicalize(parent)?.join(name))
        }
        (found, _) => found,
    }
}

/// Is a directory of this name looked into? As in [`super::scan`].
fn is_read(name: &str) -> bool {
    !name.starts_with('.') && name != "lost+found" && !name.contains(char::is_control)
}

/// A name leads to a file in the directory itself, or nowhere.
fn checked(name: &str) -> io::Result<&str> {
    let good = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('.')
        && !name.contains(['/', '\0']);
    match good {
        true => Ok(name),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{name}` is no name of a file here"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::{Limits, read_all};
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path(), &root.path().join("api")).unwrap();
        (root, folder)
    }

    #[test]
    fn what_is_written_is_read_back_and_belongs_to_nobody_else() {
        let (root, folder) = folder();
        assert_eq!(folder.read("a.yaml").unwrap(), None);
        folder.write("a.yaml", "a: 1\n").unwrap();
        folder.write("a.yaml", "a: 2\n").unwrap();
        assert_eq!(folder.read("a.yaml").unwrap().as_deref(), Some("a: 2\n"));
        let mode = |path: &str| {
            let found = fs::metadata(root.path().join(path)).unwrap();
            found.permissions().mode() & 0o777
        };
        assert_eq!((mode("api"), mode("api/a.yaml")), (0o700, 0o600));
        let scan = read_all(root.path(), Limits::default()).unwrap();
        assert_eq!(*scan.files[0].path, *folder.path_of("a.yaml"));
        assert!(folder.remove("a.yaml").unwrap() && !folder.remove("a.yaml").unwrap());
    }

    #[test]
    fn what_a_crash_left_half_written_is_no_manifest_and_in_nobodys_way() {
        let (root, folder) = folder();
        folder.write("a.yaml", "a: 1\n").unwrap();
        fs::write(root.path().join("api").join(UNFINISHED), "a: 2, b: [").unwrap();
        let scan = read_all(root.path(), Limits::default()).unwrap();
        assert_eq!((scan.files.len(), scan.problems.len()), (1, 0));
        folder.write("b.yaml", "b: 1\n").unwrap();
        assert_eq!(folder.read("b.yaml").unwrap().as_deref(), Some("b: 1\n"));
        // Not written through a link that somebody put there, either.
        let elsewhere = root.path().join("elsewhere");
        fs::write(&elsewhere, "mine").unwrap();
        symlink(&elsewhere, root.path().join("api").join(UNFINISHED)).unwrap();
        folder.write("c.yaml", "c: 1\n").unwrap();
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "mine");
        Folder::open(root.path(), &root.path().join("api")).unwrap();
        assert!(!root.path().join("api").join(UNFINISHED).exists());
    }

    #[test]
    fn it_is_below_the_manifests_and_names_stay_in_it() {
        let (root, folder) = folder();
        for name in [
            "",
            "../a.yaml",
            "/a.yaml",
            ".a.yaml",
            "a/b.yaml",
            "..",
            "a\0b",
        ] {
            assert!(folder.write(name, "").is_err(), "{name}");
            assert!(
                folder.read(name).is_err() && folder.remove(name).is_err(),
                "{name}"
            );
        }
        let made = |path: &Path| path.join("api").exists();
        let other = tempfile::tempdir().unwrap();
        symlink(other.path(), root.path().join("link")).unwrap();
        for (path, words) in [
            (root.path().to_owned(), "is not below"),
            (other.path().join("api"), "is not below"),
            (root.path().join("link"), "is not below"),
            (root.path().join(".hidden"), "not read as manifests"),
            (root.path().join("none/api"), "cannot write"),
        ] {
            let error = Folder::open(root.path(), &path).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(!made(other.path()));
    }
}
