//! Texts, or a directory of the repository, as the desired set of the daemon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stackward::engine::desired::{Desired, Draft, FileAnswer};
use stackward::engine::scope::Scope;
use stackward::kinds::need::Reading;
use stackward::manifest::{Manifest, parse};

use super::SCOPE;

/// The desired set of these files; `assets` are the files that they name.
pub fn assemble(
    files: &[(String, String)],
    previous: Option<&Desired>,
    assets: &BTreeMap<String, PathBuf>,
) -> Desired {
    let shapes: Vec<(&str, parse::Shape)> = stackward::kinds::KINDS
        .iter()
        .map(|kind| (kind.name(), kind.shape()))
        .collect();
    let (mut manifests, mut problems) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let (some, wrong) = parse::parse(name, text, parse::Kinds(&shapes));
        manifests.extend(some);
        problems.extend(wrong);
    }
    let manifests: Vec<_> = manifests.into_iter().map(|it| same(it, previous)).collect();
    let draft = Draft::new(manifests, problems, previous);
    let answers = draft
        .files()
        .into_iter()
        .map(|need| {
            let path = assets
                .get(&need.path)
                .unwrap_or_else(|| panic!("no asset {}", need.path));
            Ok(match need.reading {
                Reading::Stream => FileAnswer::Path(path.clone()),
                Reading::Text(_) => FileAnswer::Text(std::fs::read_to_string(path).unwrap().into()),
            })
        })
        .collect();
    draft.finish(answers, &Scope::new(SCOPE))
}

/// As the loader has it: what is in a file that has not changed is not parsed again.
fn same(manifest: Manifest, previous: Option<&Desired>) -> Arc<Manifest> {
    let before = previous.and_then(|it| {
        let object = it.objects.get(&manifest.key).map(|it| &it.manifest);
        object.or_else(|| it.data_manifests.get(&manifest.key))
    });
    let same = before.filter(|it| ***it == manifest).cloned();
    same.unwrap_or_else(|| Arc::new(manifest))
}

/// The desired set of a directory of the repository.
pub fn assemble_directory(root: &Path, previous: Option<&Desired>) -> Desired {
    let mut files = Vec::new();
    let mut assets = BTreeMap::new();
    let root = &Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut stack = vec![root.clone()];
    while let Some(directory) = stack.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if path.is_dir() {
                stack.push(path);
            } else if name.ends_with(".yaml") {
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            } else {
                assets.insert(name, path);
            }
        }
    }
    files.sort();
    assemble(&files, previous, &assets)
}
