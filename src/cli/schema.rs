//! `stackward schema`: the JSON Schema of manifests, for editors.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::kinds;

use super::failure::Advised;

const EXAMPLES: &str = "\
Examples:
  stackward schema > stackward.schema.json
  stackward schema Server

In an editor with yaml-language-server, put this into the first line of a manifest:
  # yaml-language-server: $schema=./stackward.schema.json";

/// Print the JSON Schema of manifests, for editors
///
/// An editor completes and checks manifests with it. For reading there is `stackward explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Schema {
    /// One kind only
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

impl Schema {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        use std::io::Write as _;
        let schema = match self.kind {
            None => kinds::schema::schema(),
            Some(name) => {
                let kind = kinds::find(&name).ok_or_else(|| {
                    let names: Vec<&str> = kinds::KINDS.iter().map(|kind| kind.name()).collect();
                    let hint = format!("the kinds are {}", names.join(", "));
                    Advised::error(format!("there is no kind `{name}`"), hint)
                })?;
                kinds::schema::document(kind)
            }
        };
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        anstream::stdout()
            .write_all(text.as_bytes())
            .context("cannot write to stdout")?;
        Ok(ExitCode::SUCCESS)
    }
}
