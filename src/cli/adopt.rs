//! `stackward adopt`: the manifest that takes over one resource that exists.

use std::process::ExitCode;

use crate::config::CloudChoice;

use super::export::{Wanted, look};
use super::failure::Advised;
use super::{connect, output};

const EXAMPLES: &str = "\
Examples:
  stackward adopt server blog --cloud mycloud > manifests/blog.yaml
  stackward adopt network 8c981a50-2082-4910-a10a-be94d41e0695 --cloud mycloud
  stackward adopt volume data --cloud mycloud --suspend

It only reads: `stackward plan` shows what the manifest would do, and `stackward run` writes the mark
of ownership. What it refers to stands in it with its id; `stackward export` takes over a whole
project, with names instead.";

/// Print the manifest that takes over a resource that exists
///
/// Writes one object with the fields that the resource has now, and with the consent to adopt it. What
/// carries the mark of a stackward is not taken over.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Adopt {
    /// The kind: Server, volume, ...
    #[arg(value_name = "KIND")]
    kind: String,
    /// Name or id of the resource in the cloud
    #[arg(value_name = "NAME|ID")]
    which: String,
    /// Cloud of clouds.yaml
    #[arg(long, short, value_name = "NAME", env = "OS_CLOUD")]
    cloud: Option<String>,
    /// Another project than that of the credentials, by name or id; the user needs a role in it
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Add `suspend: true`: nothing is changed until that line is removed
    #[arg(long)]
    suspend: bool,
}

impl Adopt {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let kind = connect::kind(&self.kind)?;
        let choice = CloudChoice::new(self.cloud.as_deref());
        let seen = look(&Wanted {
            choice: &choice,
            project: self.project.as_deref(),
            named: vec![kind],
            only: Some(&self.which),
            adopt: true,
            suspend: self.suspend,
        })
        .await?;
        if !seen.faults.is_empty() {
            let hint = "`stackward doctor` says whether the service can be reached";
            return Err(Advised::error(seen.faults.join("; "), hint));
        }
        let what = format!("{} {}", kind.name(), self.which);
        match &seen.exported.documents[..] {
            [one] => output::print(&one.text)?,
            [] => {
                let why = seen.exported.left_out.first();
                let Some(why) = why.map(|it| &it.why) else {
                    let hint = format!("`stackward inventory {}` shows what there is", kind.name());
                    return Err(Advised::error(format!("there is no {what}"), hint));
                };
                let hint = "it has to be released there first, or stays as it is";
                return Err(Advised::error(
                    format!("{what} is not taken over: {why}"),
                    hint,
                ));
            }
            several => {
                let ids: Vec<&str> = several.iter().map(|it| it.id.as_str()).collect();
                let message = format!("there are several {what}: {}", ids.join(", "));
                return Err(Advised::error(message, "name one by its id"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
