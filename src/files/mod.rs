//! Files: a directory of manifests as paths and texts, the files that manifests name, and a directory
//! that manifests are written to.
//!
//! Nothing is read that does not lie beneath an allowed directory, whatever links say. What the
//! texts mean is not known here. Every call blocks; a daemon calls it off its main task.

mod asset;
mod folder;
mod root;
mod scan;

pub use asset::{AssetInfo, Assets};
pub use folder::{Folder, FolderError};
pub use root::{Identity, RootError};
pub use scan::{File, Limits, Scan, read_all, read_given};
