//! The files that manifests name: public keys, user data, templates, images.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::root::{Root, RootError, errno, file_type, type_words};
use crate::manifest::problem::{Code, Problem};

/// The directories that manifests may name files in.
#[derive(Debug)]
pub struct Assets {
    /// The manifest directory first, then those of `--allow-files-from`.
    roots: Vec<Root>,
}

/// A file that is not read here but elsewhere, in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetInfo {
    /// Its real path, absolute and without links.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

impl Assets {
    /// The manifest directory and the further ones that are allowed.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn open(manifests: &Path, allowed: &[PathBuf]) -> Result<Self, RootError> {
        let all = std::iter::once(manifests).chain(allowed.iter().map(PathBuf::as_path));
        Ok(Self {
            roots: all.map(Root::open).collect::<Result<_, _>>()?,
        })
    }

    /// Reads a file that a manifest names, relative to the manifest's own directory.
    ///
    /// # Errors
    /// A problem that names the resolved path. It has no place and no object yet: the caller knows
    /// the field (`.at(...)`, `.about(...)`).
    pub fn read(&self, manifest: &str, path: &str, most: u64) -> Result<Vec<u8>, Problem> {
        let found = self.find(manifest, path)?;
        let mut bytes = Vec::new();
        let file = std::fs::File::from(found.file);
        if let Err(error) = file.take(most.saturating_add(1)).read_to_end(&mut bytes) {
            let shown = found.path.display();
            return Err(Problem::error(
                Code::Unreadable,
                format!("cannot read `{shown}`: {error}"),
            ));
        }
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
            return Ok(bytes);
        }
        let shown = found.path.display();
        Err(Problem::error(
            Code::TooLarge,
            format!("`{shown}` is larger than {most} bytes"),
        ))
    }

    /// Size and age of a file that a manifest names, relative to the manifest's own directory.
    ///
    /// # Errors
    /// As [`Assets::read`].
    pub fn stat(&self, manifest: &str, path: &str) -> Result<AssetInfo, Problem> {
        let found = self.find(manifest, path)?;
        let seconds = u64::try_from(found.stat.st_mtime).unwrap_or(0);
        let nanos = u32::try_from(found.stat.st_mtime_nsec).unwrap_or(0);
        Ok(AssetInfo {
            path: found.path,
            size: u64::try_from(found.stat.st_size).unwrap_or(0),
            modified: SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos),
        })
    }

    fn find(&self, manifest: &str, path: &str) -> Result<Found, Problem> {
        let wanted = self.wanted(manifest, path);
        let shown = wanted.display();
        let outside = || {
            let hint = "put it below the manifest directory, or allow its directory with \
                        --allow-files-from";
            let message = format!("`{shown}` is outside of the allowed directories");
            Problem::error(Code::OutsideRoot, message).hint(hint)
        };
        let failed = |errno: Errno| match errno {
            // Outside, it is nobody's business whether a file is there.
            Errno::NOENT | Errno::NOTDIR
                if self.roots.iter().any(|root| wanted.starts_with(&root.path)) =>
            {
                let hint = match path.strip_prefix("~/") {
                    Some(_) => "`~` is not expanded: paths are relative to the manifest",
                    None => "paths are relative to the directory of the manifest",
                };
                Problem::error(Code::MissingFile, format!("there is no file `{shown}`")).hint(hint)
            }
            Errno::NOENT | Errno::NOTDIR | Errno::XDEV => outside(),
            errno => {
                let reason = std::io::Error::from(errno);
                Problem::error(Code::Unreadable, format!("cannot open `{shown}`: {reason}"))
            }
        };
        let real = std::fs::canonicalize(&wanted).map_err(|error| failed(errno(&error)))?;
        let (root, inside) = self
            .roots
            .iter()
            .find_map(|root| Some((root, real.strip_prefix(&root.path).ok()?)))
            .ok_or_else(outside)?;
        let not_a_file = |found: FileType| {
            let message = format!("`{shown}` is {}, not a file", type_words(found));
            Problem::error(Code::NotAFile, message).hint("name a regular file")
        };
        if inside.as_os_str().is_empty() {
            return Err(not_a_file(FileType::Directory));
        }
        // A device is not even opened: that can have effects.
        let before = rustix::fs::statat(&root.directory, inside, rustix::fs::AtFlags::empty())
            .map_err(failed)?;
        if file_type(&before) != FileType::RegularFile {
            return Err(not_a_file(file_type(&before)));
        }
        let (file, stat) = root.open_beneath(inside).map_err(failed)?;
        if file_type(&stat) != FileType::RegularFile {
            return Err(not_a_file(file_type(&stat)));
        }
        Ok(Found {
            path: real,
            file,
            stat,
        })
    }

    /// The path that is meant, with `.` and `..` worked out.
    fn wanted(&self, manifest: &str, path: &str) -> PathBuf {
        let mut wanted = self
            .roots
            .first()
            .map(|root| root.path.clone())
            .unwrap_or_default();
        if let Some(parent) = Path::new(manifest).parent() {
            wanted.push(parent);
        }
        for component in Path::new(path).components() {
            match component {
                Component::ParentDir => {
                    wanted.pop();
                }
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => wanted = PathBuf::from("/"),
                Component::Normal(name) => wanted.push(name),
            }
        }
        wanted
    }
}

struct Found {
    path: PathBuf,
    file: OwnedFd,
    stat: Stat,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_beneath_an_allowed_directory_are_read_and_nothing_else_is() {
        let all = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(all.path()).unwrap();
        for directory in ["m/sub", "images", "private"] {
            fs::create_dir_all(base.join(directory)).unwrap();
        }
        fs::write(base.join("m/id.pub"), "key").unwrap();
        fs::write(base.join("m/sub/big"), "12345").unwrap();
        fs::write(base.join("images/disk.img"), "disk").unwrap();
        fs::write(base.join("private/secret"), "s").unwrap();
        symlink(base.join("private/secret"), base.join("m/leak")).unwrap();
        symlink(base.join("images/disk.img"), base.join("m/disk.img")).unwrap();
        let fifo = base.join("m/fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
        let assets = Assets::open(&base.join("m"), &[base.join("images")]).unwrap();

        let b = base.display();
        let images = base.join("images/disk.img").display().to_string();
        for (path, expected) in [
            ("../id.pub", Ok("key")),
            (
                "big",
                Err(format!(
                    "too-large]: `{b}/m/sub/big` is larger than 4 bytes"
                )),
            ),
            (images.as_str(), Ok("disk")),
            ("../disk.img", Ok("disk")),
            ("../../images/../images/disk.img", Ok("disk")),
            (
                "id.pub",
                Err(format!(
                    "missing-file]: there is no file `{b}/m/sub/id.pub`"
                )),
            ),
            (
                "../leak",
                Err(format!("outside-root]: `{b}/m/leak` is outside")),
            ),
            (
                "../../private/secret",
                Err(format!("outside-root]: `{b}/private/secret` is outside")),
            ),
            (
                "../../private/none",
                Err(format!("outside-root]: `{b}/private/none` is outside")),
            ),
            (
                "~/id.pub",
                Err(format!(
                    "missing-file]: there is no file `{b}/m/sub/~/id.pub`"
                )),
            ),
            (
                "/dev/zero",
                Err("outside-root]: `/dev/zero` is outside".to_owned()),
            ),
            (
                "../fifo",
                Err(format!("not-a-file]: `{b}/m/fifo` is a FIFO, not a file")),
            ),
            (
                "..",
                Err(format!("not-a-file]: `{b}/m` is a directory, not a file")),
            ),
            (
                "../sub",
                Err(format!(
                    "not-a-file]: `{b}/m/sub` is a directory, not a file"
                )),
            ),
        ] {
            match (assets.read("sub/a.yaml", path, 4), expected) {
                (Ok(bytes), expected) => assert_eq!(Ok(&*bytes), expected.map(str::as_bytes)),
                (Err(problem), Err(expected)) => {
                    let expected = format!("error[{expected}");
                    assert!(
                        problem.to_string().starts_with(&expected),
                        "{path}: {problem}"
                    );
                }
                (Err(problem), Ok(_)) => panic!("{path}: {problem}"),
            }
        }
        let info = assets.stat("a.yaml", "disk.img").unwrap();
        assert_eq!((info.path, info.size), (base.join("images/disk.img"), 4));
        assert!(info.modified > SystemTime::UNIX_EPOCH);
    }
}
