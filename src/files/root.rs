//! A directory that nothing outside of can be opened through.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;

/// Why a directory cannot be read at all. Never to be taken for an empty one.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// It is not there.
    #[error("the directory `{}` does not exist", .0.display())]
    Missing(PathBuf),
    /// It is something else.
    #[error("`{}` is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// It cannot be opened or listed.
    #[error("cannot read the directory `{}`", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
}

/// Which directory it was: another one may be mounted or linked at the same path later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The file system.
    pub device: u64,
    /// The inode on it.
    pub inode: u64,
}

impl Identity {
    pub(super) fn of(stat: &Stat) -> Self {
        // The types of these fields differ between platforms.
        #[allow(
            clippy::useless_conversion,
            reason = "they are u64 on this platform only"
        )]
        Self {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
        }
    }
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Root {
    /// Its real path, without links.
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    pub(super) directory: OwnedFd,
}

impl Root {
    pub(super) fn open(given: &Path) -> Result<Self, RootError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => RootError::Missing(given.to_owned()),
            io::ErrorKind::NotADirectory => RootError::NotADirectory(given.to_owned()),
            _ => RootError::Unreadable(given.to_owned(), error),
        };
        let path = std::fs::canonicalize(given).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            openat(CWD, &path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let stat = fstat(&directory).map_err(|errno| failed(errno.into()))?;
        Ok(Self {
            path,
            identity: Identity::of(&stat),
            directory,
        })
    }

    /// Opens what lies at a relative path, never anything outside of the directory
    /// ([`Errno::XDEV`]), and never waits for the other end of a FIFO.
    pub(super) fn open_beneath(&self, path: &Path) -> Result<(OwnedFd, Stat), Errno> {
        let file = match beneath(&self.directory, path) {
            // An absolute link, which may still lead back inside; or a kernel without openat2.
            Err(Errno::XDEV | Errno::NOSYS | Errno::PERM) => self.open_resolved(path)?,
            other => other?,
        };
        let stat = fstat(&file)?;
        Ok((file, stat))
    }

    /// Resolves the links by name, and then opens the real path step by step without following
    /// any: a link that is put there in between is refused.
    fn open_resolved(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let real = std::fs::canonicalize(self.path.join(path)).map_err(|error| errno(&error))?;
        let inside = real.strip_prefix(&self.path).map_err(|_| Errno::XDEV)?;
        let mut file = rustix::io::fcntl_dupfd_cloexec(&self.directory, 0)?;
        for component in inside.components() {
            let Component::Normal(name) = component else {
                return Err(Errno::XDEV);
            };
            file = openat(&file, name, flags() | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(file)
    }
}

fn flags() -> OFlags {
    OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY
}

#[cfg(target_os = "linux")]
fn beneath(directory: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: something was renamed while the kernel looked.
    let mut tries = 0;
    loop {
        match openat2(directory, path, flags(), Mode::empty(), resolve) {
            Err(Errno::AGAIN) if tries < 5 => tries += 1,
            result => return result,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn beneath(_: &OwnedFd, _: &Path) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

pub(super) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// What a thing that is no regular file is, for a message.
pub(super) fn type_words(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Directory => "a directory",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Symlink => "a symbolic link",
        _ => "no regular file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn without_openat2_the_same_is_refused() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("sub")).unwrap();
        std::fs::write(directory.path().join("sub/file"), "x").unwrap();
        symlink("sub/file", directory.path().join("inside")).unwrap();
        symlink(
            directory.path().join("sub"),
            directory.path().join("absolute"),
        )
        .unwrap();
        symlink(
            outside.path().join("secret"),
            directory.path().join("outside"),
        )
        .unwrap();
        let root = Root::open(directory.path()).unwrap();
        for (path, expected) in [
            ("sub/file", None),
            ("inside", None),
            ("absolute/file", None),
            ("outside", Some(Errno::XDEV)),
            ("sub/../..", Some(Errno::XDEV)),
            ("nowhere", Some(Errno::NOENT)),
        ] {
            assert_eq!(
                root.open_resolved(Path::new(path)).err(),
                expected,
                "{path}"
            );
            assert_eq!(root.open_beneath(Path::new(path)).err(), expected, "{path}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_read_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let message = |path: &Path| Root::open(path).unwrap_err().to_string();
        assert!(message(&directory.path().join("no")).ends_with("no` does not exist"));
        assert!(message(&file).ends_with("file` is not a directory"));
    }
}
