//! `stackward init`: a first configuration and a first manifest, with comments that teach.
//!
//! What it writes passes `validate` as it is, and also once its example is uncommented.

#![expect(clippy::disallowed_methods, reason = "it writes files")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cloud::environment::Environment;
use crate::cloud::profile::Profile;

use super::failure::Advised;
use super::output;

const EXAMPLES: &str = "\
Examples:
  stackward init
  stackward init ./infrastructure --cloud mycloud

No file is overwritten: if one is there already, nothing is written.";

/// Write a first configuration and a first manifest
///
/// Both are short and commented: stackward.yaml holds the settings, manifests/first.yaml declares a
/// network and shows a server. Nothing is sent to any cloud.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Init {
    /// Where to write; it is made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Cloud of clouds.yaml that is to be used [default: the only one there is]
    #[arg(long, short, value_name = "NAME", env = "OS_CLOUD")]
    cloud: Option<String>,
}

const CONFIG: &str = include_str!("init/stackward.yaml");
const MANIFEST: &str = include_str!("init/first.yaml");

impl Init {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let environment = Environment::of_process();
        let cloud = self.cloud.clone().or_else(|| {
            let only = Profile::load(None, &environment).ok()?;
            (only.name != "envvars").then_some(only.name)
        });
        let files = [
            ("stackward.yaml", config(cloud.as_deref())),
            ("manifests/first.yaml", MANIFEST.to_owned()),
        ];
        write(&self.directory, &files)?;
        output::print(&self.words(&files, cloud.as_deref()))?;
        Ok(ExitCode::SUCCESS)
    }

    fn words(&self, files: &[(&str, String)], cloud: Option<&str>) -> String {
        let shown = |name: &str| self.directory.join(name).display().to_string();
        let mut text = String::new();
        for (name, _) in files {
            text.push_str(&format!("wrote {}\n", shown(name)));
        }
        let (config, manifests) = (shown("stackward.yaml"), shown("manifests"));
        let steps = [
            (
                cloud.is_none(),
                format!("edit {config}"),
                "name your cloud, or keep `sandbox`",
            ),
            (
                true,
                format!("stackward validate {manifests}"),
                "are the manifests right?",
            ),
            (
                true,
                format!("stackward doctor --config {config}"),
                "can all be reached?",
            ),
            (
                true,
                format!("stackward plan --config {config}"),
                "what would be done",
            ),
            (
                true,
                format!("stackward run --config {config}"),
                "do it, and keep it so",
            ),
        ];
        text.push_str("\nNext:\n");
        for (_, step, why) in steps.iter().filter(|(is_due, ..)| *is_due) {
            text.push_str(&format!("  {step:<44} # {why}\n"));
        }
        text
    }
}

fn config(cloud: Option<&str>) -> String {
    let line = match cloud {
        // The name as JSON is a YAML text, whatever is in it.
        Some(name) => format!("cloud: {}", serde_json::Value::from(name)),
        None => "cloud: sandbox".to_owned(),
    };
    CONFIG.replace("cloud: sandbox", &line)
}

/// Writes all of the files, or none if one of them is there already.
fn write(directory: &Path, files: &[(&str, String)]) -> anyhow::Result<()> {
    let there = files.iter().map(|(name, _)| directory.join(name));
    if let Some(there) = there
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok())
    {
        let message = format!(
            "{} is there already, and nothing was written",
            there.display()
        );
        let hint = "name another directory: stackward init DIR";
        return Err(Advised::error(message, hint));
    }
    for (name, text) in files {
        let path = directory.join(name);
        let failed = || format!("cannot write {}", path.display());
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).with_context(failed)?;
        let mut file = std::fs::File::create_new(&path).with_context(failed)?;
        file.write_all(text.as_bytes()).with_context(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cloud_that_is_named_stands_in_the_configuration() {
        assert!(config(None).contains("\ncloud: sandbox"));
        assert!(config(Some("a: b")).contains("\ncloud: \"a: b\""));
    }
}
